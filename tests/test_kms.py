"""KMS as stock clients use it: keys, aliases, policies, grants, and what is encrypted with them."""

import base64
import json
import re

import pytest
from botocore.exceptions import ClientError

from support.clients import Clients, aws_json
from support.policies import allow, deny
from support.server import ACCOUNT, REGION
from support.workshop import unique

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ELSEWHERE = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/12345678-1234-4234-8234-123456789012"


@pytest.fixture(scope="module")
def kms(server):
    return Clients(server.endpoint).kms


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]


def refused(code, call, *parts, **input):
    with pytest.raises(ClientError) as caught:
        call(**input)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    for part in parts:
        assert part in error["Message"], error
    return error["Message"]


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect, action="kms:*", principal=None, resource="*", **more):
    principal = {"AWS": ROOT} if principal is None else principal
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource, **more}


# Keys


def test_a_new_key_is_described_as_a_symmetric_key_of_the_account(kms):
    made = kms.create_key(Description="exports", Tags=[{"TagKey": "team", "TagValue": "data"}])["KeyMetadata"]
    assert re.fullmatch(UUID, made["KeyId"])
    assert made["Arn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{made['KeyId']}"
    assert made == kms.describe_key(KeyId=made["Arn"])["KeyMetadata"]
    assert (made["AWSAccountId"], made["Enabled"], made["KeyState"]) == (ACCOUNT, True, "Enabled")
    assert (made["KeySpec"], made["KeyUsage"], made["Origin"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS")
    assert (made["Description"], made["KeyManager"], made["MultiRegion"]) == ("exports", "CUSTOMER", False)
    assert kms.list_resource_tags(KeyId=made["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "data"}]
    assert kms.get_key_rotation_status(KeyId=made["KeyId"])["KeyRotationEnabled"] is False


@pytest.mark.parametrize("asked", [
    {"KeySpec": "RSA_2048"}, {"KeyUsage": "SIGN_VERIFY"}, {"Origin": "EXTERNAL"}, {"MultiRegion": True},
    {"CustomerMasterKeySpec": "HMAC_256"}, {"CustomKeyStoreId": "cks-1"},
])
def test_other_kinds_of_keys_are_refused_by_name(kms, asked):
    refused("UnsupportedOperationException", kms.create_key, next(iter(asked)), **asked)


def test_operations_that_are_not_offered_say_so(kms, key):
    refused("UnsupportedOperationException", kms.sign, "Sign", KeyId=key["KeyId"], Message=b"m",
            SigningAlgorithm="RSASSA_PSS_SHA_256")
    refused("UnsupportedOperationException", kms.enable_key_rotation, "EnableKeyRotation", KeyId=key["KeyId"])
    refused("UnsupportedOperationException", kms.encrypt, "DryRun", KeyId=key["KeyId"], Plaintext=b"m", DryRun=True)


def test_keys_and_aliases_are_listed_page_by_page(kms, key):
    names = sorted(f"alias/{unique('page')}" for _ in range(3))
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
    pages = kms.get_paginator("list_aliases").paginate(KeyId=key["KeyId"], PaginationConfig={"PageSize": 2})
    assert [[a["AliasName"] for a in page["Aliases"]] for page in pages] == [names[:2], names[2:]]
    pages = kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1})
    assert {"KeyId": key["KeyId"], "KeyArn": key["Arn"]} in [k for page in pages for k in page["Keys"]]


def test_a_key_is_turned_off_and_on(kms, key):
    kms.disable_key(KeyId=key["KeyId"])
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
    refused("DisabledException", kms.encrypt, f"{key['Arn']} is disabled.", KeyId=key["KeyId"], Plaintext=b"m")
    kms.enable_key(KeyId=key["Arn"])
    kms.encrypt(KeyId=key["KeyId"], Plaintext=b"m")


def test_a_key_that_is_to_be_deleted_is_out_of_use_until_that_is_taken_back(kms, key):
    scheduled = kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert (scheduled["KeyState"], scheduled["PendingWindowInDays"]) == ("PendingDeletion", 7)
    assert (scheduled["DeletionDate"] - key["CreationDate"]).days == 7
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["DeletionDate"] == scheduled["DeletionDate"]
    for call, more in [(kms.encrypt, {"Plaintext": b"m"}), (kms.enable_key, {}), (kms.schedule_key_deletion, {})]:
        refused("KMSInvalidStateException", call, "pending deletion", KeyId=key["KeyId"], **more)
    kms.cancel_key_deletion(KeyId=key["KeyId"])
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
    refused("KMSInvalidStateException", kms.cancel_key_deletion, KeyId=key["KeyId"])
    refused("ValidationException", kms.schedule_key_deletion, KeyId=key["KeyId"], PendingWindowInDays=6)


def test_a_key_is_named_by_id_arn_alias_and_alias_arn(kms, key):
    alias = f"alias/{unique('name')}"
    kms.create_alias(AliasName=alias, TargetKeyId=key["Arn"])
    alias_arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:{alias}"
    for name in (key["KeyId"], key["Arn"], alias, alias_arn):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key["Arn"]
    refused("NotFoundException", kms.disable_key, KeyId=alias)
    refused("InvalidArnException", kms.disable_key, KeyId=alias_arn)
    refused("AlreadyExistsException", kms.create_alias, alias_arn, AliasName=alias, TargetKeyId=key["KeyId"])
    other = kms.create_key()["KeyMetadata"]
    kms.update_alias(AliasName=alias, TargetKeyId=other["KeyId"])
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"] == other["Arn"]
    kms.delete_alias(AliasName=alias)
    refused("NotFoundException", kms.describe_key, KeyId=alias)
    refused("InvalidAliasNameException", kms.create_alias, AliasName="alias/aws/s3", TargetKeyId=key["KeyId"])


@pytest.mark.parametrize("name, code", [
    ("12345678-1234-4234-8234-123456789012", "NotFoundException"),
    (ELSEWHERE, "NotFoundException"),
    ("nonsense", "NotFoundException"),
    ("arn:aws:iam::000000000000:role/r", "InvalidArnException"),
])
def test_a_key_that_is_not_there_is_not_found(kms, name, code):
    refused(code, kms.describe_key, KeyId=name)


def test_tags_and_description_change(kms, key):
    kms.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}])
    kms.untag_resource(KeyId=key["KeyId"], TagKeys=["a"])
    assert kms.list_resource_tags(KeyId=key["KeyId"])["Tags"] == [{"TagKey": "b", "TagValue": "2"}]
    refused("TagException", kms.tag_resource, KeyId=key["KeyId"], Tags=[{"TagKey": "aws:x", "TagValue": ""}])
    kms.update_key_description(KeyId=key["KeyId"], Description="new")
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"] == "new"


# What keys do


def test_a_text_is_encrypted_and_comes_back_in_its_context_alone(kms, key):
    context = {"purpose": "test", "ä": "ö"}
    made = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"canary", EncryptionContext=context)
    assert made["KeyId"] == key["Arn"] and b"canary" not in made["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"canary", key["Arn"])
    for other in ({}, {"purpose": "test"}, {**context, "more": ""}):
        refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=made["CiphertextBlob"],
                EncryptionContext=other)
    again = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"canary", EncryptionContext=context)
    assert again["CiphertextBlob"] != made["CiphertextBlob"]


def test_a_changed_ciphertext_is_refused(kms, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"canary")["CiphertextBlob"]
    for place in (20, 40, len(blob) - 1):
        changed = bytearray(blob)
        changed[place] ^= 1
        refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=bytes(changed))
    for nonsense in (b"x", blob[:-1], b"\x02" + blob[1:]):
        refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=nonsense)


def test_a_named_key_must_be_the_one_that_encrypted(kms, key):
    other = kms.create_key()["KeyMetadata"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"m")["CiphertextBlob"]
    refused("IncorrectKeyException", kms.decrypt, CiphertextBlob=blob, KeyId=other["KeyId"])
    assert kms.decrypt(CiphertextBlob=blob, KeyId=key["Arn"])["Plaintext"] == b"m"
    moved = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=other["KeyId"],
                           DestinationEncryptionContext={"a": "b"})
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key["Arn"], other["Arn"])
    kms.disable_key(KeyId=key["KeyId"])
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"a": "b"})["Plaintext"] == b"m"


def test_data_keys_come_with_and_without_their_plaintext(kms, key):
    made = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256", EncryptionContext={"a": "b"})
    assert len(made["Plaintext"]) == 32 and made["KeyId"] == key["Arn"]
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == made["Plaintext"]
    hidden = kms.generate_data_key_without_plaintext(KeyId=key["KeyId"], NumberOfBytes=100)
    assert "Plaintext" not in hidden
    assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 100
    refused("ValidationException", kms.generate_data_key, KeyId=key["KeyId"])
    refused("ValidationException", kms.generate_data_key, KeyId=key["KeyId"], NumberOfBytes=5, KeySpec="AES_256")
    assert len(kms.generate_random(NumberOfBytes=33)["Plaintext"]) == 33


def test_sizes_and_algorithms_are_checked(kms, key):
    kms.encrypt(KeyId=key["KeyId"], Plaintext=b"m" * 4096)
    refused("ValidationException", kms.encrypt, KeyId=key["KeyId"], Plaintext=b"m" * 4097)
    refused("InvalidKeyUsageException", kms.encrypt, KeyId=key["KeyId"], Plaintext=b"m",
            EncryptionAlgorithm="RSAES_OAEP_SHA_256")


# Who may


def test_a_new_key_has_the_default_policy(kms, key):
    assert kms.list_key_policies(KeyId=key["KeyId"])["PolicyNames"] == ["default"]
    text = kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"]
    assert json.loads(text)["Statement"][0]["Principal"] == {"AWS": ROOT}
    refused("NotFoundException", kms.get_key_policy, KeyId=key["KeyId"], PolicyName="other")


def test_a_keys_policy_binds_the_root_too(kms, key):
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy(
        statement("Allow"), statement("Deny", "kms:Encrypt")))
    refused("AccessDeniedException", kms.encrypt, f"User: {ROOT} is not authorized to perform: kms:Encrypt",
            key["Arn"], "explicit deny", KeyId=key["KeyId"], Plaintext=b"m")
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default",
                       Policy=policy(statement("Allow", ["kms:PutKeyPolicy", "kms:GetKeyPolicy"])))
    refused("AccessDeniedException", kms.describe_key, "no resource-based policy", KeyId=key["KeyId"])


def test_a_policy_that_locks_its_writer_out_is_refused_unless_asked_for(kms, key):
    locked = policy(statement("Allow", "kms:Decrypt"))
    refused("MalformedPolicyDocumentException", kms.put_key_policy, "in the future", KeyId=key["KeyId"],
            PolicyName="default", Policy=locked)
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=locked, BypassPolicyLockoutSafetyCheck=True)
    refused("AccessDeniedException", kms.get_key_policy, KeyId=key["KeyId"], PolicyName="default")


@pytest.mark.parametrize("text", [
    "{", "{}", policy({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}),
    policy(statement("Allow", "s3:GetObject")), policy(statement("Allow", principal={"AWS": "nobody"})),
])
def test_a_policy_that_can_not_be_read_is_malformed(kms, key, text):
    refused("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key["KeyId"], PolicyName="default",
            Policy=text)


def test_grants_are_made_listed_and_taken_back(kms, key):
    role = f"arn:aws:iam::{ACCOUNT}:role/{unique('grantee')}"
    input = {"KeyId": key["KeyId"], "GranteePrincipal": role, "Operations": ["Decrypt", "GenerateDataKey"],
             "Name": "jobs", "Constraints": {"EncryptionContextSubset": {"a": "b"}}}
    made = kms.create_grant(**input)
    assert kms.create_grant(**input)["GrantId"] == made["GrantId"]
    other = kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=ROOT, Operations=["Decrypt"],
                             RetiringPrincipal=ROOT)
    grants = {grant["GrantId"]: grant for grant in kms.list_grants(KeyId=key["KeyId"])["Grants"]}
    assert set(grants) == {made["GrantId"], other["GrantId"]}
    shown = grants[made["GrantId"]]
    assert (shown["GranteePrincipal"], shown["Operations"], shown["Name"]) == (role, input["Operations"], "jobs")
    assert shown["Constraints"] == input["Constraints"]
    kms.retire_grant(GrantToken=other["GrantToken"])
    kms.revoke_grant(KeyId=key["KeyId"], GrantId=made["GrantId"])
    assert kms.list_grants(KeyId=key["KeyId"])["Grants"] == []
    refused("NotFoundException", kms.revoke_grant, KeyId=key["KeyId"], GrantId=made["GrantId"])
    refused("InvalidArnException", kms.create_grant, KeyId=key["KeyId"], GranteePrincipal="somebody",
            Operations=["Decrypt"])


# Beyond one call


def test_keys_outlive_a_restart_and_a_strange_master_key_is_refused(own_server):
    kms = Clients(own_server.endpoint).kms
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"canary")["CiphertextBlob"]
    kms = Clients(own_server.restart().endpoint).kms
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"canary"
    own_server.stop()
    file = own_server.data_dir / "master_key"
    assert len(file.read_bytes()) == 32 and file.stat().st_mode & 0o777 == 0o600
    kept = file.read_bytes()
    file.write_bytes(bytes(32))
    with pytest.raises(AssertionError, match="master_key"):
        own_server.start()
    file.write_bytes(kept)
    assert Clients(own_server.start().endpoint).kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"canary"


def test_the_aws_cli_makes_a_key_and_uses_it(server, tmp_path):
    key = aws_json(server, "kms", "create-key", "--description", "cli")["KeyMetadata"]["KeyId"]
    (tmp_path / "text").write_text("canary")
    made = aws_json(server, "kms", "encrypt", "--key-id", key, "--plaintext", f"fileb://{tmp_path}/text")
    (tmp_path / "blob").write_bytes(base64.b64decode(made["CiphertextBlob"]))
    opened = aws_json(server, "kms", "decrypt", "--ciphertext-blob", f"fileb://{tmp_path}/blob")
    assert base64.b64decode(opened["Plaintext"]) == b"canary"


def test_policies_of_a_key_and_of_its_user_see_where_the_request_comes_from(workshop):
    arn = workshop.kms.create_key()["KeyMetadata"]["Arn"]
    user = workshop.make_user("somewhere")
    owner = {**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    here, elsewhere = {"aws:SourceIp": "127.0.0.0/8"}, {"aws:SourceIp": "10.0.0.0/8"}

    def may(own, of_key=()):
        workshop.set_policy(user, *own)
        statements = [{**one, "Principal": {"AWS": user.arn}} for one in of_key]
        policy = json.dumps({"Version": "2012-10-17", "Statement": [owner, *statements]})
        workshop.kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=policy)
        allowed = set()
        for name, given in (("encrypt", {"KeyId": arn, "Plaintext": b"x"}), ("describe_key", {"KeyId": arn}), ("list_keys", {})):
            try:
                getattr(user.kms, name)(**given)
                allowed.add(name)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "AccessDeniedException"
        return allowed

    with_key, everything = {"encrypt", "describe_key"}, {"encrypt", "describe_key", "list_keys"}
    nothing = [allow("sts:*")]
    assert may([allow("kms:*", IpAddress=here)]) == everything
    assert may([allow("kms:*", IpAddress=elsewhere)]) == set()
    assert may([allow("kms:*", NotIpAddress=elsewhere)]) == everything
    assert may([allow("kms:*", NotIpAddress=here)]) == set()
    assert may([allow("kms:*"), deny("kms:*", IpAddress=here)]) == set()
    assert may([allow("kms:*"), deny("kms:*", NotIpAddress=here)]) == everything
    assert may(nothing, [allow("kms:*", IpAddress=here)]) == with_key
    assert may(nothing, [allow("kms:*", NotIpAddress=here)]) == set()
    assert may([allow("kms:*")], [deny("kms:Encrypt", IpAddress=here)]) == everything - {"encrypt"}


def test_tags_of_a_key_and_of_a_request_are_conditions(workshop):
    tag = lambda value: [{"TagKey": "team", "TagValue": value}]
    ours, theirs = (workshop.kms.create_key(Tags=tag(value))["KeyMetadata"]["Arn"] for value in ("shop", "bank"))
    untagged = workshop.kms.create_key()["KeyMetadata"]["Arn"]
    user = workshop.make_user("tagged")
    uses = lambda arn: user.kms.encrypt(KeyId=arn, Plaintext=b"x")
    denied = lambda call, *given, **more: refused("AccessDeniedException", lambda: call(*given, **more))
    workshop.set_policy(user, allow("kms:Encrypt", StringEquals={"aws:ResourceTag/team": "shop"}))
    uses(ours), denied(uses, theirs), denied(uses, untagged)
    workshop.set_policy(user, allow("kms:*"), deny("kms:Encrypt", StringEquals={"aws:ResourceTag/team": "bank"}))
    uses(ours), denied(uses, theirs), uses(untagged)
    # A key's own policy may ask for its tags as well.
    owner = {**allow("kms:*"), "Principal": {"AWS": ROOT}}
    own = {**deny("kms:Encrypt", StringEquals={"aws:ResourceTag/team": "shop"}), "Principal": {"AWS": user.arn}}
    workshop.kms.put_key_policy(KeyId=ours, PolicyName="default", Policy=policy(owner, own))
    denied(uses, ours)

    workshop.set_policy(user, allow(["kms:CreateKey", "kms:TagResource"], StringEquals={"aws:RequestTag/team": "shop"}),
                        allow("kms:UntagResource", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["color"]}}))
    made = user.kms.create_key(Tags=tag("shop"))["KeyMetadata"]["Arn"]
    denied(user.kms.create_key, Tags=tag("bank")), denied(user.kms.create_key)
    user.kms.tag_resource(KeyId=made, Tags=tag("shop")), denied(user.kms.tag_resource, KeyId=made, Tags=tag("bank"))
    user.kms.untag_resource(KeyId=made, TagKeys=["color"]), denied(user.kms.untag_resource, KeyId=made, TagKeys=["team"])
