//! The exit status of a command.

use std::process::ExitCode;

use hublab_sim::watch::judge::Verdict;

/// The exit status of a command. Of several, the worst counts: the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitStatus {
    /// 0: all held.
    Held,
    /// 3: a run ended before it could be judged.
    Inconclusive,
    /// 1: an expectation or an oracle failed.
    Failed,
    /// 2: wrong usage, or a scenario or capsule that cannot be used.
    Usage,
    /// 4: a replay differed, or a run is not deterministic.
    Mismatch,
    /// 130: interrupted.
    Interrupted,
    /// 70: a bug in hublab.
    Bug,
}

impl ExitStatus {
    /// The outcome that a number stands for.
    pub(super) fn of_code(code: i32) -> Option<Self> {
        const ALL: [ExitStatus; 7] = [
            ExitStatus::Held,
            ExitStatus::Inconclusive,
            ExitStatus::Failed,
            ExitStatus::Usage,
            ExitStatus::Mismatch,
            ExitStatus::Interrupted,
            ExitStatus::Bug,
        ];
        ALL.into_iter().find(|exit| i32::from(exit.code()) == code)
    }

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Inconclusive => 3,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Mismatch => 4,
            Self::Interrupted => 130,
            Self::Bug => 70,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(exit: ExitStatus) -> Self {
        Self::from(exit.code())
    }
}

impl From<Verdict> for ExitStatus {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Held,
            Verdict::Inconclusive => Self::Inconclusive,
            // A strategy that never returns or brings its process down has failed, too.
            Verdict::Fail | Verdict::TimedOut | Verdict::WorkerLost => Self::Failed,
            Verdict::NotReproduced | Verdict::Mismatch => Self::Mismatch,
            Verdict::Bug => Self::Bug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_outcomes_the_first_of_the_documented_order_counts() {
        let mut all = [
            ExitStatus::Held,
            ExitStatus::Failed,
            ExitStatus::Usage,
            ExitStatus::Inconclusive,
            ExitStatus::Mismatch,
            ExitStatus::Bug,
            ExitStatus::Interrupted,
        ];
        all.sort_by(|a, b| b.cmp(a));
        assert_eq!(all.map(ExitStatus::code), [70, 130, 4, 2, 1, 3, 0]);
    }

    #[test]
    fn numbers_stand_for_outcomes() {
        for code in [0, 1, 2, 3, 4, 70, 130] {
            let exit = ExitStatus::of_code(code).expect("a number of ours");
            assert_eq!(i32::from(exit.code()), code);
        }
        assert_eq!(ExitStatus::of_code(101), None);
    }
}
