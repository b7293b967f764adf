//! Patterns of actions and resources: `*` stands for any characters, `?` for one.

/// A pattern with wildcards, compared with case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wildcard(Vec<char>);

impl Wildcard {
    pub(super) fn new(pattern: &str) -> Wildcard {
        Wildcard(pattern.chars().collect())
    }

    /// Whether the pattern takes the whole text; a `*` takes any characters, `/` and `:` too.
    ///
    /// Takes at most as many steps as the lengths of both, multiplied.
    pub(super) fn takes(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut seen) = (0, 0);
        // Behind the last star, and the place in the text up to which it reaches.
        let mut star: Option<(usize, usize)> = None;
        while seen < text.len() {
            match self.0.get(at) {
                Some('*') => {
                    star = Some((at + 1, seen));
                    at += 1;
                }
                Some(c) if *c == '?' || *c == text[seen] => {
                    at += 1;
                    seen += 1;
                }
                _ => {
                    let Some((behind, reach)) = star else { return false };
                    star = Some((behind, reach + 1));
                    at = behind;
                    seen = reach + 1;
                }
            }
        }
        self.0[at..].iter().all(|c| *c == '*')
    }
}

/// A pattern of actions such as `s3:Get*`, compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ActionPattern(Wildcard);

impl ActionPattern {
    /// Reads `service:Name`, or `*` for every action of every service.
    ///
    /// The service is written out; wildcards stand in the name only.
    pub(super) fn parse(text: &str) -> Option<ActionPattern> {
        if text == "*" || text == "*:*" {
            return Some(ActionPattern(Wildcard::new("*")));
        }
        let (service, name) = text.split_once(':')?;
        let is_service =
            !service.is_empty() && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'?'));
        (is_service && is_name).then(|| ActionPattern(Wildcard::new(&text.to_ascii_lowercase())))
    }

    /// Whether the pattern takes an action, which is given in lower case.
    pub(super) fn takes(&self, lower_case_action: &str) -> bool {
        self.0.takes(lower_case_action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_take_any_characters_or_one() {
        for (pattern, text, takes) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("?", "é", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("**a**", "a", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b", false),
            ("a?c", "a*c", true),
            ("abc", "ABC", false),
            ("a*a*a*a*a*a*b", &"a".repeat(5000), false),
        ] {
            assert_eq!(Wildcard::new(pattern).takes(text), takes, "{pattern} {text}");
        }
    }

    #[test]
    fn an_action_names_its_service() {
        for text in ["s3:GetObject", "S3:get*", "personalize-x:?ut*", "*", "*:*"] {
            assert!(ActionPattern::parse(text).is_some(), "{text}");
        }
        for text in ["", "GetObject", "s3:", ":GetObject", "s*:GetObject", "s3:Get Object", "s3:a:b", "s3"] {
            assert!(ActionPattern::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn actions_are_compared_without_case() {
        assert!(ActionPattern::parse("S3:putOBJECT").unwrap().takes("s3:putobject"));
        assert!(!ActionPattern::parse("s3:Put").unwrap().takes("s3:putobject"));
    }
}
