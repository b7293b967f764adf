//! A structure that JSON has to write as an object.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Reads what is inside from an object alone: by itself it would take a list of its members as well.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    struct Pair<'a> {
        a: &'a str,
        b: Option<u8>,
    }

    #[test]
    fn an_object_is_read_and_may_be_borrowed_from() {
        let Object(pair) = serde_json::from_str::<Object<Pair<'_>>>(r#"{"a":"x","b":1}"#).unwrap();
        assert_eq!((pair.a, pair.b), ("x", Some(1)));
    }

    #[test]
    fn a_list_of_the_members_is_no_object() {
        assert!(serde_json::from_str::<Pair<'_>>(r#"["x",1]"#).is_ok());
        assert!(serde_json::from_str::<Object<Pair<'_>>>(r#"["x",1]"#).is_err());
    }
}
