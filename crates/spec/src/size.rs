//! Numbers of bytes, for people.

use std::fmt;

/// A number of bytes, printed with a unit of 1,024 and one decimal.
///
/// ```
/// # use longshore_spec::Size;
/// assert_eq!(Size(1536).to_string(), "1.5 KiB");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let Self(bytes) = *self;
        let mut unit = 0;
        let mut scale = 1_u64;
        while unit + 1 < UNITS.len() && bytes / scale >= 1024 {
            scale *= 1024;
            unit += 1;
        }
        if unit == 0 {
            return write!(f, "{bytes} B");
        }
        // Tenths, rounded to nearest; in u128, where nothing overflows.
        let tenths = (u128::from(bytes) * 10 + u128::from(scale) / 2) / u128::from(scale);
        write!(f, "{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_and_never_overflow() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (9 << 30, "9.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
