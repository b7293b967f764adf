//! Conditions: AWS's rules as tables, and what is refused because it could not be evaluated.

use super::*;

const NOW_MS: i64 = 1_780_000_000_000; // 2026-05-28T20:26:40Z

/// Whether a condition holds for a caller whose request has this context.
fn holds(condition: &str, caller: Caller<'_>, context: &Context) -> bool {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}}}"#
    );
    let document = Document::parse_identity_policy(&text).unwrap_or_else(|e| panic!("{condition}: {e}"));
    let surroundings =
        Surroundings { region: "us-east-1", account: "111122223333", now_ms: NOW_MS, is_secure: false };
    let request = Request::new(caller, "s3:ListBucket", "arn:aws:s3:::b").given(surroundings, context);
    decide([&document], &request) == Decision::Allow
}

#[track_caller]
fn check(caller: Caller<'_>, context: &Context, table: &[(&str, bool)]) {
    for (condition, expected) in table {
        assert_eq!(holds(condition, caller, context), *expected, "{condition}");
    }
}

fn list(prefix: &str) -> Context {
    Context::default().with("s3:prefix", prefix).with("s3:max-keys", "10")
}

#[test]
fn operators_compare_as_documented() {
    check(
        user(),
        &list("home/Ann/"),
        &[
            (r#"{"StringEquals":{"aws:username":"Ann"}}"#, true),
            (r#"{"StringEquals":{"aws:username":"ann"}}"#, false),
            (r#"{"StringEquals":{"aws:username":"A*"}}"#, false),
            (r#"{"StringEquals":{"AWS:UserName":["Bob","Ann"]}}"#, true),
            (r#"{"StringNotEquals":{"aws:username":["Bob","Ann"]}}"#, false),
            (r#"{"StringEqualsIgnoreCase":{"aws:username":"aNN"}}"#, true),
            (r#"{"StringNotEqualsIgnoreCase":{"aws:username":"aNN"}}"#, false),
            (r#"{"StringLike":{"s3:prefix":"home/*"}}"#, true),
            (r#"{"StringNotLike":{"s3:prefix":["x","home/???/"]}}"#, false),
            (r#"{"NumericLessThanEquals":{"s3:max-keys":"10"}}"#, true),
            (r#"{"NumericLessThan":{"s3:max-keys":10}}"#, false),
            (r#"{"NumericEquals":{"s3:max-keys":10.0}}"#, true),
            (r#"{"NumericNotEquals":{"s3:max-keys":["9","10"]}}"#, false),
            (r#"{"NumericGreaterThan":{"s3:prefix":"0"}}"#, false),
            (r#"{"DateGreaterThan":{"aws:CurrentTime":"2026-05-28T20:26:39Z"}}"#, true),
            (r#"{"DateLessThan":{"aws:CurrentTime":"2026-05-28T22:26:41+02:00"}}"#, true),
            (r#"{"DateEquals":{"aws:EpochTime":"1780000000"}}"#, true),
            (r#"{"DateLessThanEquals":{"aws:CurrentTime":"2026-05-28"}}"#, false),
            (r#"{"NumericGreaterThanEquals":{"aws:EpochTime":1780000000}}"#, true),
            (r#"{"BinaryEquals":{"s3:prefix":"aG9t"}}"#, false),
            (r#"{"Bool":{"aws:SecureTransport":"false"}}"#, true),
            (r#"{"Bool":{"aws:SecureTransport":true}}"#, false),
            (r#"{"Bool":{"aws:username":"false"}}"#, false),
            (r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}}"#, true),
            (r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/ops/*"}}"#, true),
            (r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:*:111122223333:user/ops/*:*"}}"#, false),
            (r#"{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}"#, true),
            (r#"{"StringLike":{"aws:PrincipalArn":"arn:*Ann"}}"#, true),
            (
                r#"{"StringEquals":{"aws:PrincipalType":"User","aws:userid":"AIDAANN","aws:PrincipalAccount":"111122223333"}}"#,
                true,
            ),
            (r#"{"StringEquals":{"aws:PrincipalType":"User","aws:userid":"AIDABOB"}}"#, false),
            (r#"{"StringEquals":{"aws:PrincipalType":"User"},"Bool":{"aws:SecureTransport":"true"}}"#, false),
            (r#"{"StringEquals":{"aws:PrincipalTag/team":"shop","aws:RequestedRegion":"us-east-1"}}"#, true),
            (r#"{"StringEquals":{"aws:ResourceAccount":111122223333}}"#, true),
        ],
    );
}

#[test]
fn a_missing_key_fulfils_only_what_asks_for_its_absence() {
    check(
        user(),
        &Context::default(),
        &[
            (r#"{"StringEquals":{"s3:prefix":""}}"#, false),
            (r#"{"StringNotEquals":{"s3:prefix":"x"}}"#, true),
            (r#"{"StringLike":{"s3:prefix":"*"}}"#, false),
            (r#"{"StringEqualsIfExists":{"s3:prefix":"x"}}"#, true),
            (r#"{"NumericLessThanIfExists":{"s3:max-keys":1}}"#, true),
            (r#"{"NumericNotEquals":{"s3:max-keys":1}}"#, true),
            (r#"{"DateLessThan":{"aws:TokenIssueTime":"2030-01-01"}}"#, false),
            (r#"{"BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}}"#, true),
            (r#"{"Bool":{"aws:MultiFactorAuthPresent":"false"}}"#, false),
            (r#"{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}"#, false),
            (r#"{"NotIpAddress":{"aws:SourceIp":"0.0.0.0/0"}}"#, true),
            (r#"{"ArnNotEquals":{"aws:SourceArn":"arn:aws:s3:::b"}}"#, true),
            (r#"{"ArnLike":{"aws:SourceArn":"arn:aws:s3:*:*:*"}}"#, false),
            (r#"{"Null":{"s3:prefix":"true"}}"#, true),
            (r#"{"Null":{"s3:prefix":false}}"#, false),
            (r#"{"Null":{"aws:username":"false"}}"#, true),
            (r#"{"ForAnyValue:StringEquals":{"aws:TagKeys":"a"}}"#, false),
            (r#"{"ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}}"#, false),
            (r#"{"ForAllValues:StringEquals":{"aws:TagKeys":"a"}}"#, true),
            (r#"{"StringNotEquals":{"ec2:Region":"x"}}"#, true),
        ],
    );
}

#[test]
fn several_values_of_a_key_are_told_apart_by_any_and_all() {
    let context = Context::default().with_request_tags([("Team", "shop"), ("Stage", "test")].into_iter());
    check(
        user(),
        &context,
        &[
            (r#"{"ForAnyValue:StringEquals":{"aws:TagKeys":["Team","Other"]}}"#, true),
            (r#"{"ForAnyValue:StringEquals":{"aws:TagKeys":"Other"}}"#, false),
            (r#"{"ForAllValues:StringEquals":{"aws:TagKeys":["Team","Stage","Other"]}}"#, true),
            (r#"{"ForAllValues:StringEquals":{"aws:TagKeys":"Team"}}"#, false),
            (r#"{"ForAnyValue:StringNotEquals":{"aws:TagKeys":"Team"}}"#, true),
            (r#"{"ForAllValues:StringNotEquals":{"aws:TagKeys":"Team"}}"#, false),
            (r#"{"ForAllValues:StringNotLike":{"aws:TagKeys":"X*"}}"#, true),
            (r#"{"StringEquals":{"aws:RequestTag/team":"shop"}}"#, true),
            (r#"{"StringEquals":{"aws:RequestTag/Stage":["live","shop"]}}"#, false),
            (r#"{"Null":{"aws:RequestTag/Owner":"false"}}"#, false),
        ],
    );
}

#[test]
fn the_way_of_a_request_says_whether_it_is_secure_and_else_the_server_does() {
    let condition = r#"{"Bool":{"aws:SecureTransport":"true"}}"#;
    for is_secure in [true, false] {
        let peer = Some(Peer { address: [10, 0, 0, 7].into(), is_secure });
        assert_eq!(holds(condition, user(), &Context::from_peer(peer)), is_secure);
    }
    assert!(!holds(condition, user(), &Context::from_peer(None)), "the server speaks no TLS");
}

#[test]
fn addresses_lie_in_ranges_whatever_their_notation() {
    for (peer, range, is_in) in [
        ("203.0.113.7", "203.0.113.0/24", true),
        ("203.0.114.7", "203.0.113.0/24", false),
        ("203.0.113.7", "203.0.113.9/24", true),
        ("203.0.113.7", "203.0.113.7", true),
        ("::ffff:203.0.113.7", "203.0.113.0/24", true),
        ("2001:db8:1::7", "2001:db8::/32", true),
        ("2001:db9::7", "2001:db8::/32", false),
        ("10.0.0.1", "::/0", false),
        ("10.0.0.1", "0.0.0.0/0", true),
    ] {
        let address = peer.parse().unwrap();
        let context = Context::from_peer(Some(Peer { address, is_secure: false }));
        let condition = |operator: &str| format!(r#"{{"{operator}":{{"aws:SourceIp":"{range}"}}}}"#);
        assert_eq!(holds(&condition("IpAddress"), user(), &context), is_in, "{peer} {range}");
        assert_eq!(holds(&condition("NotIpAddress"), user(), &context), !is_in, "{peer} {range}");
        assert!(!holds(&condition("IpAddress"), session(), &context), "a job has no address");
    }
}

#[test]
fn a_service_says_for_whom_it_comes() {
    let deputy = |account: &str, arn: &str| {
        format!(
            r#"{{"StringEquals":{{"aws:SourceAccount":"{account}"}},"StringLike":{{"aws:SourceArn":"{arn}"}}}}"#
        )
    };
    for caller in [service(), session()] {
        for (account, arn, expected) in [
            ("111122223333", "arn:aws:personalize:us-east-1:111122223333:*", true),
            ("111122223333", "arn:aws:personalize:us-west-2:111122223333:*", false),
            ("444455556666", "arn:aws:personalize:us-east-1:111122223333:*", false),
        ] {
            assert_eq!(
                holds(&deputy(account, arn), caller, &Context::default()),
                expected,
                "{account} {arn}"
            );
        }
    }
    check(
        session(),
        &Context::default(),
        &[
            (r#"{"StringLike":{"aws:userid":"AROAEXPORT:*"}}"#, true),
            (r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/Export"}}"#, true),
            (r#"{"Bool":{"aws:PrincipalIsAWSService":"true"}}"#, true),
            (r#"{"StringEquals":{"aws:PrincipalServiceName":"personalize.amazonaws.com"}}"#, true),
            (r#"{"Null":{"aws:username":"true"}}"#, true),
        ],
    );
    check(
        root(),
        &Context::default(),
        &[
            (r#"{"StringEquals":{"aws:PrincipalType":"Account","aws:userid":"111122223333"}}"#, true),
            (r#"{"Null":{"aws:SourceArn":"true","aws:username":"true"}}"#, true),
        ],
    );
}

#[test]
fn variables_stand_for_values_and_never_for_wildcards() {
    let context = list("home/Ann/");
    check(
        user(),
        &context,
        &[
            (r#"{"StringLike":{"s3:prefix":"home/${aws:username}/*"}}"#, true),
            (r#"{"StringEquals":{"s3:prefix":"home/${aws:username}/"}}"#, true),
            (r#"{"StringLike":{"s3:prefix":"${aws:PrincipalTag/star}"}}"#, false),
            (r#"{"StringLike":{"s3:prefix":"home/${*}"}}"#, false),
            (r#"{"StringEquals":{"s3:prefix":"home/${aws:PrincipalTag/none, 'Ann'}/"}}"#, true),
            (r#"{"ArnEquals":{"aws:PrincipalArn":"${aws:PrincipalArn}"}}"#, true),
            (r#"{"StringEquals":{"s3:prefix":"${aws:SourceArn}"}}"#, false),
            (r#"{"StringNotEquals":{"s3:prefix":"${aws:SourceArn}"}}"#, true),
        ],
    );
    check(session(), &context, &[(r#"{"StringLike":{"s3:prefix":"home/${aws:username}*"}}"#, false)]);
    check(
        user(),
        &list("eA=="),
        &[
            (r#"{"BinaryEquals":{"s3:prefix":["aG9t","eA=="]}}"#, true),
            (r#"{"BinaryEquals":{"s3:prefix":"eQ=="}}"#, false),
            (r#"{"BinaryEquals":{"aws:SourceArn":"eA=="}}"#, false),
            (r#"{"BinaryEqualsIfExists":{"aws:SourceArn":"eA=="}}"#, true),
        ],
    );
    check(user(), &list("$*?"), &[(r#"{"StringLike":{"s3:prefix":"${$}${*}${?}"}}"#, true)]);
    check(user(), &list("xyz"), &[(r#"{"StringLike":{"s3:prefix":"${$}${*}${?}"}}"#, false)]);
}

#[test]
fn variables_in_resources_need_the_newer_version() {
    let decision = |version: &str, caller: Caller<'_>, resource: &str| {
        let text = format!(
            r#"{{{version}"Statement":{{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${{aws:username}}/*"}}}}"#
        );
        let document = Document::parse_identity_policy(&text).unwrap();
        decide([&document], &Request::new(caller, "s3:GetObject", resource)) == Decision::Allow
    };
    let new = r#""Version":"2012-10-17","#;
    assert!(decision(new, user(), "arn:aws:s3:::b/Ann/k"));
    assert!(!decision(new, user(), "arn:aws:s3:::b/Bob/k"));
    assert!(!decision(new, session(), "arn:aws:s3:::b//k"));
    for old in ["", r#""Version":"2008-10-17","#] {
        assert!(!decision(old, user(), "arn:aws:s3:::b/Ann/k"));
        assert!(decision(old, user(), "arn:aws:s3:::b/${aws:username}/k"));
    }
}

#[test]
fn what_can_not_be_evaluated_is_refused() {
    for (condition, sentence) in [
        ("{}", "Condition is a JSON object that is not empty"),
        ("[]", "Condition is a JSON object"),
        (r#"{"StringEquals":{}}"#, "StringEquals is a JSON object that is not empty"),
        (r#"{"StringEquals":{"aws:username":[]}}"#, "the value of aws:username"),
        (r#"{"StringEquals":{"aws:username":null}}"#, "the value of aws:username"),
        (r#"{"StringEquals":{"aws:username":[["x"]]}}"#, "the value of aws:username"),
        (r#"{"StringSounds":{"aws:username":"x"}}"#, "StringSounds is no condition operator"),
        (r#"{"stringequals":{"aws:username":"x"}}"#, "is no condition operator"),
        (r#"{"ForSomeValues:StringEquals":{"aws:username":"x"}}"#, "is no condition operator"),
        (r#"{"StringEqualsIfExistsIfExists":{"aws:username":"x"}}"#, "is no condition operator"),
        (r#"{"BinaryEquals":{"aws:username":"e"}}"#, "e is not base64"),
        (r#"{"BinaryNotEquals":{"aws:username":"eA=="}}"#, "BinaryNotEquals is no condition operator"),
        (r#"{"NullIfExists":{"aws:username":"true"}}"#, "Null already asks"),
        (r#"{"ForAnyValue:Null":{"aws:TagKeys":"true"}}"#, "Null already asks"),
        (r#"{"StringEquals":{"aws:SourceAcount":"x"}}"#, "aws:SourceAcount is no condition key"),
        (r#"{"StringEquals":{"username":"x"}}"#, "username is no condition key"),
        (r#"{"StringEquals":{"aws:RequestTag/":"x"}}"#, "is no condition key"),
        (r#"{"StringEquals":{"s3:":"x"}}"#, "is no condition key"),
        (r#"{"StringEquals":{"s3:${aws:username}":"x"}}"#, "is no condition key"),
        (r#"{"NumericEquals":{"s3:max-keys":"ten"}}"#, "ten is not a number"),
        (r#"{"NumericEquals":{"s3:max-keys":"inf"}}"#, "inf is not a number"),
        (r#"{"DateEquals":{"aws:CurrentTime":"tomorrow"}}"#, "tomorrow is not a time"),
        (r#"{"Bool":{"aws:SecureTransport":"yes"}}"#, "yes is not true or false"),
        (r#"{"Null":{"aws:username":"x"}}"#, "x is not true or false"),
        (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}"#, "is not an address or a range"),
        (r#"{"IpAddress":{"aws:SourceIp":"10.0.0/8"}}"#, "is not an address or a range"),
        (r#"{"ArnLike":{"aws:SourceArn":"*"}}"#, "* is not an ARN of six parts"),
        (r#"{"StringLike":{"s3:prefix":"${aws:username"}}"#, "is not closed"),
        (r#"{"StringLike":{"s3:prefix":"${aws:nobody}"}}"#, "${aws:nobody} is never filled"),
        (r#"{"StringLike":{"s3:prefix":"${aws:TagKeys}"}}"#, "${aws:TagKeys} is never filled"),
        (r#"{"StringLike":{"s3:prefix":"${}"}}"#, "${} is never filled"),
        (r#"{"StringLike":{"s3:prefix":"${aws:username, x}"}}"#, "not in single quotes"),
    ] {
        let rest = format!(r#""Effect":"Deny","Action":"s3:*","Condition":{condition}"#);
        let identity = format!(r#"{{"Version":"2012-10-17","Statement":[{{{rest},"Resource":"*"}}]}}"#);
        let bucket = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{{rest},"Principal":"*","Resource":"arn:aws:s3:::b"}}]}}"#
        );
        for error in [
            Document::parse_identity_policy(&identity).unwrap_err(),
            Document::parse_resource_policy(&bucket, "b").unwrap_err(),
        ] {
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.message().contains(sentence), "{condition}: {error}");
        }
    }
}

#[test]
fn variables_of_resources_stand_behind_the_fifth_colon() {
    let parse = |resource: &str| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Action":"*","Resource":"{resource}"}}}}"#
        );
        Document::parse_identity_policy(&text)
    };
    assert!(parse("arn:aws:s3:::${aws:username}-b/*").is_ok());
    for resource in
        ["${aws:PrincipalArn}", "arn:aws:iam::${aws:PrincipalAccount}:role/x", "arn:aws:s3:::b/${aws:no}"]
    {
        assert!(parse(resource).is_err(), "{resource}");
    }
    let bucket = |resource: &str| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"{resource}"}}}}"#
        );
        Document::parse_resource_policy(&text, "b")
    };
    assert!(bucket("arn:aws:s3:::b/${aws:username}/*").is_ok());
    assert!(bucket("arn:aws:s3:::b${aws:username}").is_err());
}

#[test]
fn a_policy_knows_whether_it_asks_for_the_tags_of_resources() {
    let asks = |element: &str| {
        let text =
            format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*",{element}}}}}"#);
        Document::parse_identity_policy(&text).unwrap().asks_for_resource_tags()
    };
    assert!(asks(r#""Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Team":"shop"}}"#));
    assert!(asks(
        r#""Resource":"*","Condition":{"StringEquals":{"aws:username":"${aws:ResourceTag/owner}"}}"#
    ));
    assert!(asks(r#""Resource":"arn:aws:s3:::b/${aws:ResourceTag/owner}""#));
    assert!(!asks(r#""Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/Team":"shop"}}"#));
}
