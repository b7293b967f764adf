//! Shapes that many operations share. Source: the service model, and "Quotas" for the tags.

use wire::shape::{Member, Pattern, Shape, Structure, list, matching, optional, required, text};

pub static NAME: Pattern = Pattern::new(r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*");
pub static ARN: Pattern = Pattern::new(r"arn:([a-z\d-]+):personalize:.*:.*:.+");
pub static ROLE_ARN: Pattern = Pattern::new(r"arn:([a-z\d-]+):iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+");
pub static KMS_KEY_ARN: Pattern = Pattern::new(r"arn:aws.*:kms:.*:[0-9]{12}:key/.*");
pub static S3_LOCATION: Pattern = Pattern::new("(s3|http|https)://.+");
pub static DATASET_TYPE: Pattern = Pattern::new("^[A-Za-z_]+$");
pub static NEXT_TOKEN: Pattern = Pattern::new(r"\p{ASCII}{0,1500}");
pub static TAG: Pattern = Pattern::new(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$");

/// The name of a resource or job.
pub const fn name() -> Shape {
    matching(1, 63, &NAME)
}

/// The ARN of one of the service's own resources.
pub const fn arn() -> Shape {
    matching(0, 256, &ARN)
}

pub const fn role_arn() -> Shape {
    matching(0, 256, &ROLE_ARN)
}

pub const fn kms_key_arn() -> Shape {
    matching(0, 2048, &KMS_KEY_ARN)
}

pub const fn s3_location() -> Shape {
    matching(0, 256, &S3_LOCATION)
}

pub const fn domain() -> Shape {
    Shape::Enum(&["ECOMMERCE", "VIDEO_ON_DEMAND"])
}

pub const fn tags() -> Shape {
    list(0, 200, &TAG_ELEMENT)
}

pub const fn tag_keys() -> Shape {
    list(0, 200, &TAG_KEY)
}

pub const fn next_token() -> Member {
    optional("nextToken", matching(0, 1500, &NEXT_TOKEN))
}

pub const fn max_results() -> Member {
    optional("maxResults", Shape::Integer { min: 1, max: 100 })
}

/// A request that is looked into no further.
pub static ANYTHING: Structure = Structure::new(&[]);
pub static PAGE: Structure = Structure::new(&[next_token(), max_results()]);
pub static PAGE_OF_GROUP: Structure =
    Structure::new(&[optional("datasetGroupArn", arn()), next_token(), max_results()]);
pub static PAGE_OF_DATASET: Structure =
    Structure::new(&[optional("datasetArn", arn()), next_token(), max_results()]);

static TAG_KEY: Shape = matching(1, 128, &TAG);
static TAG_ELEMENT: Shape = Shape::Structure(&TAG_STRUCTURE);
static TAG_STRUCTURE: Structure = Structure::new(&[
    required("tagKey", matching(1, 128, &TAG)),
    required("tagValue", matching(0, 256, &TAG)),
]);

/// A text of an event: an id, a session, a kind of event.
pub const fn event_text() -> Shape {
    text(1, 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_match_their_patterns() {
        let cases: [(&Pattern, &[&str]); 6] = [
            (&NAME, &["a", "A1-_b", "0"]),
            (
                &ARN,
                &[
                    "arn:aws:personalize:us-east-1:000000000000:dataset/g/ITEMS",
                    "arn:aws:personalize:::recipe/aws-x",
                ],
            ),
            (
                &ROLE_ARN,
                &[
                    "arn:aws:iam::012345678901:role/service-role/Export",
                    "arn:aws-cn:iam::012345678901:role/r",
                ],
            ),
            (&KMS_KEY_ARN, &["arn:aws:kms:us-east-1:012345678901:key/1234abcd-12ab-34cd-56ef-1234567890ab"]),
            (&S3_LOCATION, &["s3://bucket", "https://bucket/a"]),
            (&TAG, &["", "cost center", "größe:x/y=z+@"]),
        ];
        for (pattern, texts) in cases {
            assert!(texts.iter().all(|text| pattern.matches(text)), "{texts:?}");
        }
    }

    #[test]
    fn values_of_another_form_match_no_pattern() {
        let cases: [(&Pattern, &[&str]); 6] = [
            (&NAME, &["", "-a", "a.b", "a\n", "ä"]),
            (&ARN, &["arn:aws:s3:::b", "arn:aws:personalize:us-east-1:1:", "x arn:aws:personalize:::a"]),
            (&ROLE_ARN, &["arn:aws:iam::1:role/r", "arn:aws:iam::012345678901:user/u"]),
            (&DATASET_TYPE, &["Items!", ""]),
            (&NEXT_TOKEN, &["ä"]),
            (&TAG, &["a;b", "a\tb"]),
        ];
        for (pattern, texts) in cases {
            assert!(!texts.iter().any(|text| pattern.matches(text)), "{texts:?}");
        }
    }
}
