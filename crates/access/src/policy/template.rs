//! Texts of a policy with variables: `${aws:username}` stands for a value of the request, `${*}` for a star.

use std::borrow::Cow;

use super::Request;
use super::context::{self, Values};
use super::pattern::Token;

/// A text whose variables are filled for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Pieces,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pieces {
    Fixed(Vec<Token>),
    Open(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Token(Token),
    Variable { key: String, default: Option<String> },
}

/// How a text of a policy is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    /// Whether `*` and `?` stand for other characters.
    pub wildcards: bool,
    /// Whether `${…}` is a variable; policies without `"Version": "2012-10-17"` take it literally.
    pub variables: bool,
}

impl Template {
    /// # Errors
    /// A sentence about a variable that is not closed, or that no request ever fills.
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Template, String> {
        let token = if syntax.wildcards { Token::of } else { Token::Char };
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("${").filter(|_| syntax.variables) {
            let end = after.split_once('}');
            let (name, behind) = end.ok_or_else(|| format!("a policy variable is not closed in {text}."))?;
            pieces.extend(before.chars().map(token).map(Piece::Token));
            pieces.push(variable(name)?);
            rest = behind;
        }
        pieces.extend(rest.chars().map(token).map(Piece::Token));
        let fixed: Option<Vec<Token>> = pieces.iter().map(Piece::token).collect();
        Ok(Template { pieces: fixed.map_or(Pieces::Open(pieces), Pieces::Fixed) })
    }

    /// The pattern that it is for a request; `None` when a variable has no value there: then nothing is like it.
    pub(super) fn fill(&self, request: &Request<'_>) -> Option<Cow<'_, [Token]>> {
        let pieces = match &self.pieces {
            Pieces::Fixed(tokens) => return Some(Cow::Borrowed(tokens)),
            Pieces::Open(pieces) => pieces,
        };
        let mut tokens = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Token(token) => tokens.push(*token),
                Piece::Variable { key, default } => match (request.values(key), default) {
                    // A star in a value is a star and no wildcard.
                    (Values::One(value), _) => tokens.extend(value.chars().map(Token::Char)),
                    (_, Some(default)) => tokens.extend(default.chars().map(Token::Char)),
                    _ => return None,
                },
            }
        }
        Some(Cow::Owned(tokens))
    }

    /// Whether a variable stands for a value of this family of keys.
    pub(super) fn asks_for(&self, family: &str) -> bool {
        let names = |piece: &Piece| matches!(piece, Piece::Variable { key, .. } if key.starts_with(family));
        matches!(&self.pieces, Pieces::Open(pieces) if pieces.iter().any(names))
    }
}

impl Piece {
    fn token(&self) -> Option<Token> {
        match self {
            Piece::Token(token) => Some(*token),
            Piece::Variable { .. } => None,
        }
    }
}

// `${key}`, or `${key, 'what it is where the request has no such key'}`.
fn variable(name: &str) -> Result<Piece, String> {
    if let "*" | "?" | "$" = name {
        return Ok(Piece::Token(Token::Char(name.chars().next().unwrap_or_default())));
    }
    let (key, default) = name.split_once(',').map_or((name, None), |(key, rest)| (key, Some(rest.trim())));
    let unquoted = |text: &str| Some(text.strip_prefix('\'')?.strip_suffix('\'')?.to_owned());
    let default = match default {
        None => None,
        Some(text) => Some(
            unquoted(text).ok_or_else(|| format!("the default in ${{{name}}} is not in single quotes."))?,
        ),
    };
    let key = key.trim().to_ascii_lowercase();
    if !context::is_single(&key) {
        return Err(format!(
            "the policy variable ${{{name}}} is never filled by this server, so a policy that has it can't be put."
        ));
    }
    Ok(Piece::Variable { key, default })
}
