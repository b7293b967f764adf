//! The names of condition operators, taken apart: `ForAnyValue:StringNotLikeIfExists`.

/// An operator of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    /// How it treats a key that has several values.
    pub set: Option<Set>,
    pub kind: Kind,
    /// Whether none of the wanted values may be found.
    pub is_negated: bool,
    /// Whether it holds where the key is missing.
    pub if_exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// `ForAnyValue`: one of the values suffices.
    Any,
    /// `ForAllValues`: each of the values must fit.
    All,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    TextIgnoringCase,
    Like,
    Arn,
    Number(Relation),
    Date(Relation),
    Truth,
    Address,
    /// Bytes, written in base64.
    Bytes,
    /// Whether the key is missing.
    Null,
}

/// How a number or time that is found relates to the one that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    pub fn holds<T: PartialOrd>(self, found: T, wanted: T) -> bool {
        match self {
            Relation::Equal => found == wanted,
            Relation::Less => found < wanted,
            Relation::LessOrEqual => found <= wanted,
            Relation::Greater => found > wanted,
            Relation::GreaterOrEqual => found >= wanted,
        }
    }
}

/// Source: "IAM JSON policy elements: Condition operators".
const KINDS: [(&str, Kind, bool); 27] = [
    ("StringEquals", Kind::Text, false),
    ("StringNotEquals", Kind::Text, true),
    ("StringEqualsIgnoreCase", Kind::TextIgnoringCase, false),
    ("StringNotEqualsIgnoreCase", Kind::TextIgnoringCase, true),
    ("StringLike", Kind::Like, false),
    ("StringNotLike", Kind::Like, true),
    ("ArnEquals", Kind::Arn, false),
    ("ArnNotEquals", Kind::Arn, true),
    ("ArnLike", Kind::Arn, false),
    ("ArnNotLike", Kind::Arn, true),
    ("NumericEquals", Kind::Number(Relation::Equal), false),
    ("NumericNotEquals", Kind::Number(Relation::Equal), true),
    ("NumericLessThan", Kind::Number(Relation::Less), false),
    ("NumericLessThanEquals", Kind::Number(Relation::LessOrEqual), false),
    ("NumericGreaterThan", Kind::Number(Relation::Greater), false),
    ("NumericGreaterThanEquals", Kind::Number(Relation::GreaterOrEqual), false),
    ("DateEquals", Kind::Date(Relation::Equal), false),
    ("DateNotEquals", Kind::Date(Relation::Equal), true),
    ("DateLessThan", Kind::Date(Relation::Less), false),
    ("DateLessThanEquals", Kind::Date(Relation::LessOrEqual), false),
    ("DateGreaterThan", Kind::Date(Relation::Greater), false),
    ("DateGreaterThanEquals", Kind::Date(Relation::GreaterOrEqual), false),
    ("Bool", Kind::Truth, false),
    ("BinaryEquals", Kind::Bytes, false),
    ("IpAddress", Kind::Address, false),
    ("NotIpAddress", Kind::Address, true),
    ("Null", Kind::Null, false),
];

impl Operator {
    /// # Errors
    /// A sentence about a name that is not known.
    pub fn parse(name: &str) -> Result<Operator, String> {
        let (set, rest) = match name.split_once(':') {
            Some(("ForAnyValue", rest)) => (Some(Set::Any), rest),
            Some(("ForAllValues", rest)) => (Some(Set::All), rest),
            _ => (None, name),
        };
        let bare = rest.strip_suffix("IfExists");
        let known = KINDS.iter().find(|(known, ..)| *known == bare.unwrap_or(rest));
        let Some((_, kind, is_negated)) = known else { return Err(unknown(name)) };
        let operator = Operator { set, kind: *kind, is_negated: *is_negated, if_exists: bare.is_some() };
        match kind {
            Kind::Null if operator.if_exists || set.is_some() => {
                Err(format!("{name} is no condition operator: Null already asks whether there is a value."))
            }
            _ => Ok(operator),
        }
    }
}

fn unknown(name: &str) -> String {
    format!("{name} is no condition operator, such as StringEquals or ArnLike.")
}
