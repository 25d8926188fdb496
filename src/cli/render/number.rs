//! Numbers as people read them.

/// `1234567` as `1,234,567`.
pub(in crate::cli) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1234.56` as `1,234.6`, with so many places; rounded half to even, as printed by Rust.
pub(in crate::cli) fn decimal(number: f64, places: usize) -> String {
    let text = format!("{number:.places$}");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    match whole.parse() {
        Ok(whole) => format!("{sign}{}{fraction}", grouped(whole)),
        // Infinite, or beyond what is ever measured.
        Err(_) => text,
    }
}

/// A number and its thing, in the plural where it is one: `1 node`, `5 nodes`.
pub(in crate::cli) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// A size, rounded: `812 kB`.
pub(in crate::cli) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1_000 {
        return format!("{number} B");
    }
    let (mut scale, mut unit) = (1_000, 0);
    while number / scale >= 1_000 && unit + 1 < UNITS.len() {
        scale *= 1_000;
        unit += 1;
    }
    let tenths = number / (scale / 10);
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", tenths / 10, UNITS[unit])
    }
}

/// Microseconds with three digits that matter and a unit: `51.2 ms`.
pub(in crate::cli) fn time(us: u64) -> String {
    let scaled = |scale: u64, unit: &str| {
        let (whole, rest) = (us / scale, us % scale);
        match whole {
            0..10 => format!("{whole}.{:02} {unit}", rest * 100 / scale),
            10..100 => format!("{whole}.{} {unit}", rest * 10 / scale),
            _ => format!("{} {unit}", grouped(whole)),
        }
    };
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => scaled(1_000, "ms"),
        _ => scaled(1_000_000, "s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(decimal(1_234.56, 1), "1,234.6");
        assert_eq!(decimal(-1_234_567.0, 0), "-1,234,567");
        assert_eq!(decimal(f64::INFINITY, 2), "inf");
        assert_eq!(counted(1, "node"), "1 node");
        assert_eq!(counted(2_000, "node"), "2,000 nodes");
    }

    #[test]
    fn sizes_and_times_have_the_unit_that_fits() {
        let sizes = [
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (812_345, "812 kB"),
            (9_990_000, "9.9 MB"),
        ];
        for (number, text) in sizes {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(bytes(u64::MAX), "18 EB");
        let times = [
            (0, "0 us"),
            (51_234, "51.2 ms"),
            (1_500_000, "1.50 s"),
            (120_000_000, "120 s"),
        ];
        for (us, text) in times {
            assert_eq!(time(us), text);
        }
    }
}
