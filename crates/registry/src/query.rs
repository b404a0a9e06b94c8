//! Queries and percent-encoding.

/// The parameters of a request, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses a query string. A `+` is kept: values in the spec contain no spaces, but digests and media
    /// types may contain a plus that was not encoded (row F-20).
    pub(crate) fn parse(text: &str) -> Self {
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(key), decode(value))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// Returns the first value of a parameter. A parameter without a value counts as absent.
    pub(crate) fn first<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.all(key).next()
    }

    /// Returns every value of a parameter.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let values = self.0.iter().filter(move |(found, _)| found == key);
        values.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Decodes `%XX`. Invalid sequences stay, and invalid UTF-8 becomes a character that no grammar allows.
pub(crate) fn decode(text: &str) -> String {
    let hex = |at: usize| {
        let digits = text.as_bytes().get(at..at + 2)?;
        let [high, low] = [digits[0], digits[1]].map(|digit| char::from(digit).to_digit(16));
        u8::try_from(high? << 4 | low?).ok()
    };
    let (mut bytes, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = text.as_bytes().get(at) {
        if let (b'%', Some(decoded)) = (byte, hex(at + 1)) {
            bytes.push(decoded);
            at += 3;
        } else {
            bytes.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Encodes all characters that have a meaning in URLs.
pub(crate) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f20_both_spellings_are_one_value() {
        for text in
            ["digest=sha256%3Aab%2bcd", "x=1&digest=sha256:ab+cd&&y", "d%69gest=sha256:ab+cd"]
        {
            assert_eq!(Query::parse(text).first("digest"), Some("sha256:ab+cd"), "{text}");
        }
        let tags = Query::parse("tag=a&tag=b&tag=&other=c");
        assert_eq!(tags.all("tag").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn broken_sequences_stay() {
        for text in ["%", "%4", "%zz", "a%+1"] {
            assert_eq!(decode(text), text);
        }
        assert_eq!(decode("%ff"), "\u{fffd}");
        assert_eq!(decode(&encode("a/b:ü %")), "a/b:ü %");
    }
}
