//! Patterns of actions, resources and condition values: `*` stands for any characters, `?` for one.

use std::str::Chars;

/// One element of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Any characters, none too.
    Any,
    /// One character.
    One,
    Char(char),
}

impl Token {
    /// A character of a pattern, as it stands.
    pub(super) fn of(c: char) -> Token {
        match c {
            '*' => Token::Any,
            '?' => Token::One,
            c => Token::Char(c),
        }
    }
}

/// Whether a pattern takes the whole text, compared with case; a `*` takes `/` and `:` too.
///
/// Takes at most as many steps as the lengths of both, multiplied, and no memory.
pub(super) fn takes(pattern: &[Token], text: &str) -> bool {
    matches(pattern, text, |wanted, found| wanted == found)
}

fn matches(pattern: &[Token], text: &str, same: impl Fn(char, char) -> bool) -> bool {
    let (mut at, mut rest) = (0, text.chars());
    // Behind the last star, and the rest of the text behind what it takes.
    let mut star: Option<(usize, Chars<'_>)> = None;
    loop {
        let mut behind = rest.clone();
        match (pattern.get(at), behind.next()) {
            (Some(Token::Any), _) => {
                at += 1;
                star = Some((at, rest.clone()));
            }
            (None, None) => return true,
            (Some(Token::One), Some(_)) => (at, rest) = (at + 1, behind),
            (Some(Token::Char(c)), Some(found)) if same(*c, found) => (at, rest) = (at + 1, behind),
            _ => {
                let Some((after, reach)) = &mut star else { return false };
                if reach.next().is_none() {
                    return false;
                }
                (at, rest) = (*after, reach.clone());
            }
        }
    }
}

/// A pattern of actions such as `s3:Get*`, compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ActionPattern(Vec<Token>);

impl ActionPattern {
    /// Reads `service:Name`, or `*` for every action of every service.
    ///
    /// The service is written out; wildcards stand in the name only.
    pub(super) fn parse(text: &str) -> Option<ActionPattern> {
        if text == "*" || text == "*:*" {
            return Some(ActionPattern(vec![Token::Any]));
        }
        let (service, name) = text.split_once(':')?;
        let is_service =
            !service.is_empty() && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'?'));
        (is_service && is_name)
            .then(|| ActionPattern(text.chars().map(|c| Token::of(c.to_ascii_lowercase())).collect()))
    }

    pub(super) fn takes(&self, action: &str) -> bool {
        matches(&self.0, action, |wanted, found| wanted == found.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_take_any_characters_or_one() {
        for (pattern, text, is_taken) in [
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
            let tokens: Vec<Token> = pattern.chars().map(Token::of).collect();
            assert_eq!(takes(&tokens, text), is_taken, "{pattern} {text}");
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
        assert!(ActionPattern::parse("S3:putOBJECT").unwrap().takes("s3:PutObject"));
        assert!(!ActionPattern::parse("s3:Put").unwrap().takes("s3:putobject"));
    }
}
