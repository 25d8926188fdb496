//! Mutants of `delta_crdt`.

use hublab_strategies::delta_crdt::{Body, DeltaCrdt, DeltaCrdtMessage, Dot, Told};
use hublab_strategies::{Context, EventStrategy, Metadata, NodeId};

use crate::twisted::Twist;

type Cx<'a> = Context<'a, DeltaCrdtMessage>;

macro_rules! diffs_changed {
    ($(#[doc = $doc:literal])+ $name:ident, $change:expr) => {
        $(#[doc = $doc])+
        #[derive(Default)]
        pub(crate) struct $name;

        impl Twist<DeltaCrdt> for $name {
            fn handle_message(
                &mut self,
                inner: &mut DeltaCrdt,
                cx: &mut Cx<'_>,
                from: &NodeId,
                message: &DeltaCrdtMessage,
            ) {
                let change: fn(&mut Vec<Told>, &mut Vec<Dot>, &NodeId) = $change;
                let mut message = message.clone();
                if let Body::Diff(told, context) = &mut message.body {
                    change(told, context, from);
                }
                inner.handle_message(cx, from, &message);
            }
        }
    };
}

diffs_changed!(
    /// Overlooks what others have seen.
    ContextOverlooked,
    |told, context, _| {
        context.clear();
        told.iter_mut().for_each(|it| it.removed.clear());
    }
);

diffs_changed!(
    /// Takes the first half of the keys, and the context of all.
    HalfTaken,
    |told, _, _| told.truncate(told.len() / 2)
);

diffs_changed!(
    /// Takes what is passed on for the sender's own.
    OwnerMistaken,
    |told, _, from| told.iter_mut().for_each(|it| it.key.0 = from.clone())
);

diffs_changed!(
    /// Loses the metadata.
    MetadataLost,
    |told, _, _| {
        for value in told.iter_mut().flat_map(|it| it.values.values_mut()) {
            value.metadata = Metadata::default();
        }
    }
);

diffs_changed!(
    /// Gives the first key the pid of the last.
    PidsMixedUp,
    |told, _, _| {
        let values = told.iter().flat_map(|it| it.values.values());
        let pids: Vec<_> = values.map(|value| value.pid.clone()).collect();
        let values = told.iter_mut().flat_map(|it| it.values.values_mut());
        for (value, pid) in values.zip(pids.into_iter().rev()) {
            value.pid = pid;
        }
    }
);

/// Never hears that an exchange is over.
#[derive(Default)]
pub(crate) struct EndsOverheard;

impl Twist<DeltaCrdt> for EndsOverheard {
    fn handle_message(
        &mut self,
        inner: &mut DeltaCrdt,
        cx: &mut Cx<'_>,
        from: &NodeId,
        message: &DeltaCrdtMessage,
    ) {
        if message.body != Body::Done {
            inner.handle_message(cx, from, message);
        }
    }
}

/// Makes five rounds, and no more.
#[derive(Default)]
pub(crate) struct RoundsEnd {
    rounds: u32,
}

impl Twist<DeltaCrdt> for RoundsEnd {
    fn handle_timer(&mut self, inner: &mut DeltaCrdt, cx: &mut Cx<'_>, key: u64) {
        self.rounds += 1;
        if self.rounds <= 5 {
            inner.handle_timer(cx, key);
        }
    }
}
