//! The table of the operations: their names, what they take, and what does them.

use std::pin::Pin;

use access::Asking;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wire::shape::Structure;

use super::{Kms, alias, crypto, grant, key, policy, shapes, tag};
use crate::events::request::not_json;
use crate::reply::{self, Answer};

type Running<'a> = Pin<Box<dyn Future<Output = Answer<Bytes>> + Send + 'a>>;

pub(super) struct Operation {
    pub name: &'static str,
    pub input: &'static Structure,
    pub run: for<'a> fn(&'a Kms, Asking<'a>, Value) -> Running<'a>,
}

pub(super) fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

fn decode<T: DeserializeOwned>(input: Value) -> Answer<T> {
    serde_json::from_value(input).map_err(|e| not_json(&e).into())
}

macro_rules! answers {
    ($name:literal, $input:expr, $run:path) => {
        Operation {
            name: $name,
            input: $input,
            run: |kms, caller, input| {
                Box::pin(async move { reply::body(&$run(kms, caller, decode(input)?).await?) })
            },
        }
    };
}

macro_rules! empty {
    ($name:literal, $input:expr, $run:path) => {
        Operation {
            name: $name,
            input: $input,
            run: |kms, caller, input| {
                Box::pin(async move { $run(kms, caller, decode(input)?).await.map(|()| Bytes::new()) })
            },
        }
    };
}

static OPERATIONS: [Operation; 29] = [
    answers!("CreateKey", &key::CREATE, key::create),
    answers!("DescribeKey", &key::DESCRIBE, key::describe),
    answers!("ListKeys", &key::LIST, key::list),
    empty!("EnableKey", &shapes::KEY, key::enable),
    empty!("DisableKey", &shapes::KEY, key::disable),
    answers!("ScheduleKeyDeletion", &key::SCHEDULE, key::schedule_deletion),
    answers!("CancelKeyDeletion", &shapes::KEY, key::cancel_deletion),
    empty!("UpdateKeyDescription", &key::UPDATE_DESCRIPTION, key::update_description),
    answers!("GetKeyRotationStatus", &shapes::KEY, key::rotation),
    answers!("GetKeyPolicy", &policy::GET, policy::get),
    empty!("PutKeyPolicy", &policy::PUT, policy::put),
    answers!("ListKeyPolicies", &policy::LIST, policy::list),
    empty!("CreateAlias", &alias::SET, alias::create),
    empty!("UpdateAlias", &alias::SET, alias::update),
    empty!("DeleteAlias", &alias::DELETE, alias::delete),
    answers!("ListAliases", &alias::LIST, alias::list),
    empty!("TagResource", &tag::TAG, tag::tag),
    empty!("UntagResource", &tag::UNTAG, tag::untag),
    answers!("ListResourceTags", &tag::LIST, tag::list_tags),
    answers!("Encrypt", &crypto::ENCRYPT, crypto::encrypt),
    answers!("Decrypt", &crypto::DECRYPT, crypto::decrypt),
    answers!("ReEncrypt", &crypto::RE_ENCRYPT, crypto::re_encrypt),
    answers!("GenerateDataKey", &crypto::GENERATE, crypto::generate_data_key),
    answers!(
        "GenerateDataKeyWithoutPlaintext",
        &crypto::GENERATE,
        crypto::generate_data_key_without_plaintext
    ),
    answers!("GenerateRandom", &crypto::RANDOM, crypto::generate_random),
    answers!("CreateGrant", &grant::CREATE, grant::create),
    answers!("ListGrants", &grant::LIST, grant::list_grants),
    empty!("RevokeGrant", &grant::REVOKE, grant::revoke),
    empty!("RetireGrant", &grant::RETIRE, grant::retire),
];
