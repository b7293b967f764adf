"""Groups, tags, versions of policies, the policies of AWS, renamed users, and simulated requests."""

import json

import pytest
from botocore.exceptions import ClientError

from support.clients import aws, aws_json
from support.policies import allow, deny, role_policy, trust_policy
from support.workshop import unique

ACCOUNT = "000000000000"
FULL_ACCESS = "arn:aws:iam::aws:policy/service-role/AmazonPersonalizeFullAccess"


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def make_policy(workshop, *statements):
    made = workshop.iam.create_policy(PolicyName=unique("p"), PolicyDocument=document(*statements))
    return made["Policy"]["Arn"]


class TestUsers:
    def test_a_renamed_user_keeps_its_keys_policies_groups_and_id(self, workshop):
        user = workshop.make_user("old", allow("iam:GetUser"), allow("personalize:ListSchemas"))
        group, new = unique("group"), unique("new")
        workshop.iam.create_group(GroupName=group)
        workshop.iam.add_user_to_group(GroupName=group, UserName=user.name)
        before = workshop.iam.get_user(UserName=user.name)["User"]
        workshop.iam.update_user(UserName=user.name, NewUserName=new, NewPath="/staff/")
        after = workshop.iam.get_user(UserName=new)["User"]
        assert after["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/staff/{new}" and after["UserId"] == before["UserId"]
        assert user.sts.get_caller_identity()["Arn"] == after["Arn"]
        user.personalize.list_schemas()
        assert [g["GroupName"] for g in workshop.iam.list_groups_for_user(UserName=new)["Groups"]] == [group]
        assert refused(lambda: workshop.iam.get_user(UserName=user.name))[0] == "NoSuchEntity"
        taken = lambda: workshop.iam.update_user(UserName=new, NewUserName=workshop.make_user("taken").name)
        assert refused(taken)[::2] == ("EntityAlreadyExists", 409)

    def test_to_rename_a_user_both_names_must_be_allowed(self, workshop):
        user = workshop.make_user("plain")
        admin = workshop.make_user("admin", allow("iam:UpdateUser", f"arn:aws:iam::{ACCOUNT}:user/{user.name}*"))
        assert refused(lambda: admin.iam.update_user(UserName=user.name, NewUserName=unique("x")))[0] == "AccessDenied"
        admin.iam.update_user(UserName=user.name, NewUserName=user.name + "-2")


class TestTags:
    @pytest.mark.parametrize("kind", ["user", "role", "policy"])
    def test_tags_are_set_listed_replaced_and_removed(self, workshop, kind):
        name, iam = unique(kind), workshop.iam
        if kind == "user":
            iam.create_user(UserName=name)
            who, tag, untag, tags = {"UserName": name}, iam.tag_user, iam.untag_user, iam.list_user_tags
        elif kind == "role":
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())
            who, tag, untag, tags = {"RoleName": name}, iam.tag_role, iam.untag_role, iam.list_role_tags
        else:
            arn = iam.create_policy(PolicyName=name, PolicyDocument=document(allow("s3:*")))["Policy"]["Arn"]
            who, tag, untag, tags = {"PolicyArn": arn}, iam.tag_policy, iam.untag_policy, iam.list_policy_tags
        tag(Tags=[{"Key": "Team", "Value": "a"}, {"Key": "stage", "Value": ""}], **who)
        tag(Tags=[{"Key": "team", "Value": "b"}], **who)
        assert tags(**who)["Tags"] == [{"Key": "stage", "Value": ""}, {"Key": "team", "Value": "b"}]
        assert tags(MaxItems=1, **who)["IsTruncated"] is True
        untag(TagKeys=["TEAM", "nothing"], **who)
        assert tags(**who)["Tags"] == [{"Key": "stage", "Value": ""}]
        many = [{"Key": f"k{n}", "Value": "v"} for n in range(50)]
        assert refused(lambda: tag(Tags=many, **who))[::2] == ("LimitExceeded", 409)

    def test_tags_of_a_user_count_from_the_next_request_on(self, workshop):
        user = workshop.make_user("tagged", allow("personalize:*", StringEquals={"aws:PrincipalTag/team": "shop"}))
        assert refused(user.personalize.list_schemas)[0] == "AccessDeniedException"
        workshop.iam.tag_user(UserName=user.name, Tags=[{"Key": "team", "Value": "shop"}])
        user.personalize.list_schemas()
        workshop.iam.untag_user(UserName=user.name, TagKeys=["team"])
        assert refused(user.personalize.list_schemas)[0] == "AccessDeniedException"

    def test_which_tags_may_be_set_can_be_restricted(self, workshop):
        other = workshop.make_user("other")
        user = workshop.make_user("tagger", allow(
            ["iam:TagUser", "iam:UntagUser"], **{"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}))
        user.iam.tag_user(UserName=other.name, Tags=[{"Key": "team", "Value": "x"}])
        wrong = lambda: user.iam.tag_user(UserName=other.name, Tags=[{"Key": "admin", "Value": "x"}])
        assert refused(wrong)[0] == "AccessDenied"
        assert refused(lambda: user.iam.untag_user(UserName=other.name, TagKeys=["admin"]))[0] == "AccessDenied"
        user.iam.untag_user(UserName=other.name, TagKeys=["team"])


class TestGroups:
    def test_a_member_may_what_its_groups_may(self, workshop):
        user, name = workshop.make_user("member"), unique("group")
        made = workshop.iam.create_group(GroupName=name, Path="/teams/")["Group"]
        assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/teams/{name}" and made["GroupId"].startswith("AGPA")
        workshop.iam.put_group_policy(GroupName=name, PolicyName="p", PolicyDocument=document(allow("personalize:*")))
        assert refused(user.personalize.list_schemas)[0] == "AccessDeniedException"
        workshop.iam.add_user_to_group(GroupName=name, UserName=user.name)
        workshop.iam.add_user_to_group(GroupName=name, UserName=user.name)
        user.personalize.list_schemas()
        assert [u["UserName"] for u in workshop.iam.get_group(GroupName=name)["Users"]] == [user.name]
        arn = make_policy(workshop, deny("personalize:*"))
        workshop.iam.attach_group_policy(GroupName=name, PolicyArn=arn)
        assert refused(user.personalize.list_schemas)[0] == "AccessDeniedException"
        attached = workshop.iam.list_attached_group_policies(GroupName=name)["AttachedPolicies"]
        assert [policy["PolicyArn"] for policy in attached] == [arn]
        assert workshop.iam.list_entities_for_policy(PolicyArn=arn)["PolicyGroups"][0]["GroupName"] == name
        assert workshop.iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
        assert refused(lambda: workshop.iam.delete_policy(PolicyArn=arn))[0] == "DeleteConflict"
        workshop.iam.detach_group_policy(GroupName=name, PolicyArn=arn)
        user.personalize.list_schemas()
        workshop.iam.remove_user_from_group(GroupName=name, UserName=user.name)
        assert refused(user.personalize.list_schemas)[0] == "AccessDeniedException"
        again = lambda: workshop.iam.remove_user_from_group(GroupName=name, UserName=user.name)
        assert refused(again)[::2] == ("NoSuchEntity", 404)

    def test_a_group_is_renamed_and_deleted_last(self, workshop):
        user, old, new = workshop.make_user("member"), unique("group"), unique("renamed")
        workshop.iam.create_group(GroupName=old)
        policy = document(allow("s3:ListAllMyBuckets"))
        workshop.iam.put_group_policy(GroupName=old, PolicyName="p", PolicyDocument=policy)
        workshop.iam.add_user_to_group(GroupName=old, UserName=user.name)
        workshop.iam.update_group(GroupName=old, NewGroupName=new)
        user.s3.list_buckets()
        assert workshop.iam.list_group_policies(GroupName=new)["PolicyNames"] == ["p"]
        shown = workshop.iam.get_group_policy(GroupName=new, PolicyName="p")["PolicyDocument"]
        assert shown["Statement"] == [allow("s3:ListAllMyBuckets")]
        who = {"GroupName": new}
        for undo in (lambda: workshop.iam.delete_group_policy(PolicyName="p", **who),
                     lambda: workshop.iam.remove_user_from_group(UserName=user.name, **who)):
            assert refused(lambda: workshop.iam.delete_group(**who))[::2] == ("DeleteConflict", 409)
            undo()
        workshop.iam.delete_group(**who)
        assert refused(lambda: workshop.iam.get_group(**who))[::2] == ("NoSuchEntity", 404)
        assert new not in [group["GroupName"] for group in workshop.iam.list_groups()["Groups"]]

    def test_a_user_in_a_group_is_not_deleted(self, workshop):
        name, group = unique("user"), unique("group")
        workshop.iam.create_user(UserName=name), workshop.iam.create_group(GroupName=group)
        workshop.iam.add_user_to_group(GroupName=group, UserName=name)
        assert refused(lambda: workshop.iam.delete_user(UserName=name))[0] == "DeleteConflict"
        workshop.iam.remove_user_from_group(GroupName=group, UserName=name)
        workshop.iam.delete_user(UserName=name)


class TestPolicyVersions:
    def test_the_default_version_counts(self, workshop):
        user = workshop.make_user("versions")
        arn = make_policy(workshop, allow("s3:*"))
        workshop.iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
        made = workshop.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(allow("personalize:*")))
        assert made["PolicyVersion"]["VersionId"] == "v2" and not made["PolicyVersion"]["IsDefaultVersion"]
        user.s3.list_buckets()
        workshop.iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
        user.personalize.list_schemas()
        assert refused(user.s3.list_buckets)[0] == "AccessDenied"
        assert workshop.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
        shown = workshop.iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
        assert shown["Document"]["Statement"] == [allow("s3:*")] and not shown["IsDefaultVersion"]
        delete = lambda version: workshop.iam.delete_policy_version(PolicyArn=arn, VersionId=version)
        assert refused(lambda: delete("v2"))[0] == "DeleteConflict"
        delete("v1")
        assert refused(lambda: workshop.iam.get_policy_version(PolicyArn=arn, VersionId="v1"))[0] == "NoSuchEntity"

    def test_there_are_five_at_most_and_no_number_comes_twice(self, workshop):
        arn = make_policy(workshop, allow("s3:*"))
        more = lambda: workshop.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(allow("s3:*")))
        for _ in range(4):
            more()
        assert refused(more)[::2] == ("LimitExceeded", 409)
        workshop.iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
        assert more()["PolicyVersion"]["VersionId"] == "v6"
        pages = workshop.iam.get_paginator("list_policy_versions")
        pages = pages.paginate(PolicyArn=arn, PaginationConfig={"PageSize": 2})
        versions = [v["VersionId"] for page in pages for v in page["Versions"]]
        assert versions == ["v6", "v4", "v3", "v2", "v1"]
        assert refused(lambda: workshop.iam.delete_policy(PolicyArn=arn))[0] == "DeleteConflict"
        for version in versions[:-1]:
            workshop.iam.delete_policy_version(PolicyArn=arn, VersionId=version)
        workshop.iam.delete_policy(PolicyArn=arn)


class TestPoliciesOfAws:
    def test_full_access_to_personalize_can_be_attached(self, workshop):
        user = workshop.make_user("full")
        workshop.iam.attach_user_policy(UserName=user.name, PolicyArn=FULL_ACCESS)
        user.personalize.list_schemas()
        assert refused(user.iam.list_users)[0] == "AccessDenied"
        bucket = unique("my-personalize-data")
        workshop.s3.create_bucket(Bucket=bucket)
        user.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        other = workshop.make_bucket("data", policy="")
        assert refused(lambda: user.s3.put_object(Bucket=other, Key="k", Body=b"x"))[0] == "AccessDenied"
        workshop.iam.detach_user_policy(UserName=user.name, PolicyArn=FULL_ACCESS)
        assert refused(user.personalize.list_schemas)[0] == "AccessDeniedException"

    def test_they_are_listed_apart_and_never_changed(self, workshop):
        arns = lambda scope: [p["Arn"] for p in workshop.iam.list_policies(Scope=scope, MaxItems=1000)["Policies"]]
        assert FULL_ACCESS in arns("AWS") and FULL_ACCESS in arns("All") and FULL_ACCESS not in arns("Local")
        assert all(arn.startswith("arn:aws:iam::aws:policy/") for arn in arns("AWS"))
        shown = workshop.iam.get_policy(PolicyArn=FULL_ACCESS)["Policy"]
        assert (shown["PolicyName"], shown["Path"]) == ("AmazonPersonalizeFullAccess", "/service-role/")
        version = workshop.iam.get_policy_version(PolicyArn=FULL_ACCESS, VersionId=shown["DefaultVersionId"])
        assert len(version["PolicyVersion"]["Document"]["Statement"]) == 4
        who, wide = {"PolicyArn": FULL_ACCESS}, document(allow("*"))
        for change in (lambda: workshop.iam.delete_policy(**who),
                       lambda: workshop.iam.tag_policy(Tags=[{"Key": "a", "Value": "b"}], **who),
                       lambda: workshop.iam.create_policy_version(PolicyDocument=wide, **who)):
            assert refused(change)[::2] == ("AccessDenied", 403)

    def test_an_own_policy_may_have_the_same_name(self, workshop):
        text = document(allow("s3:*"))
        own = workshop.iam.create_policy(PolicyName="AmazonPersonalizeFullAccess", PolicyDocument=text)
        pages = workshop.iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": 1})
        arns = [policy["Arn"] for page in pages for policy in page["Policies"]]
        assert own["Policy"]["Arn"] in arns and FULL_ACCESS in arns and len(set(arns)) == len(arns)
        workshop.iam.delete_policy(PolicyArn=own["Policy"]["Arn"])


class TestRoles:
    def test_a_role_is_updated(self, workshop):
        name = unique("role")
        workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy(), Description="one")
        workshop.iam.update_role(RoleName=name, MaxSessionDuration=7200)
        role = workshop.iam.get_role(RoleName=name)["Role"]
        assert (role["Description"], role["MaxSessionDuration"]) == ("one", 7200)
        assert workshop.iam.update_role_description(RoleName=name, Description="two")["Role"]["Description"] == "two"
        assert refused(lambda: workshop.iam.update_role(RoleName=name, MaxSessionDuration=43_201))[0] == "ValidationError"
        assert refused(lambda: workshop.iam.update_role(RoleName=name + "x"))[0] == "NoSuchEntity"

    def test_what_infrastructure_tools_ask_before_they_delete_a_role(self, workshop):
        name = unique("role")
        workshop.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy())
        assert workshop.iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
        assert workshop.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        assert workshop.iam.list_role_policies(RoleName=name)["PolicyNames"] == []
        workshop.iam.delete_role(RoleName=name)
        gone = lambda: workshop.iam.list_instance_profiles_for_role(RoleName=name)
        assert refused(gone)[::2] == ("NoSuchEntity", 404)


class TestSimulation:
    def test_a_principal_s_policies_are_asked(self, workshop):
        user = workshop.make_user("asked", allow("s3:GetObject", "arn:aws:s3:::b/*"),
                                  deny("s3:GetObject", "arn:aws:s3:::b/secret"))
        results = workshop.iam.simulate_principal_policy(
            PolicySourceArn=user.arn, ActionNames=["s3:GetObject", "s3:PutObject"],
            ResourceArns=["arn:aws:s3:::b/k", "arn:aws:s3:::b/secret"])["EvaluationResults"]
        told = {(r["EvalActionName"], r["EvalResourceName"]): r["EvalDecision"] for r in results}
        assert told == {
            ("s3:GetObject", "arn:aws:s3:::b/k"): "allowed",
            ("s3:GetObject", "arn:aws:s3:::b/secret"): "explicitDeny",
            ("s3:PutObject", "arn:aws:s3:::b/k"): "implicitDeny",
            ("s3:PutObject", "arn:aws:s3:::b/secret"): "implicitDeny",
        }
        role = workshop.make_role("asked", "b")
        [result] = workshop.iam.simulate_principal_policy(
            PolicySourceArn=role, ActionNames=["s3:PutObject"], ResourceArns=["arn:aws:s3:::b/k"])["EvaluationResults"]
        assert result["EvalDecision"] == "allowed"
        missing = lambda: workshop.iam.simulate_principal_policy(
            PolicySourceArn=user.arn + "x", ActionNames=["s3:GetObject"])
        assert refused(missing)[::2] == ("NoSuchEntity", 404)

    def test_policies_of_the_request_see_its_context(self, workshop):
        policy = document(allow("personalize:*", StringEquals={"aws:PrincipalTag/team": "shop"}))
        def decision(*entries):
            answer = workshop.iam.simulate_custom_policy(
                PolicyInputList=[policy], ActionNames=["personalize:ListSchemas"], ContextEntries=list(entries))
            return answer["EvaluationResults"][0]
        without = decision()
        assert (without["EvalDecision"], without["MissingContextValues"]) == ("implicitDeny", ["aws:principaltag/team"])
        entry = {"ContextKeyName": "aws:PrincipalTag/team", "ContextKeyValues": ["shop"], "ContextKeyType": "string"}
        found = decision(entry)
        assert (found["EvalDecision"], found["MissingContextValues"]) == ("allowed", [])
        assert found["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.1"
        assert decision({**entry, "ContextKeyValues": ["ops"]})["EvalDecision"] == "implicitDeny"

    def test_results_come_in_pages(self, workshop):
        pages = workshop.iam.get_paginator("simulate_custom_policy").paginate(
            PolicyInputList=[document(allow("s3:Get*"))],
            ActionNames=["s3:GetObject", "s3:PutObject", "s3:GetBucketPolicy"], PaginationConfig={"PageSize": 2})
        told = [[r["EvalDecision"] for r in page["EvaluationResults"]] for page in pages]
        assert told == [["allowed", "implicitDeny"], ["allowed"]]


def test_the_cli_sets_up_a_group_a_version_and_tags(server, workshop):
    group, user, name = unique("cli-group"), unique("cli-user"), unique("cli-policy")
    aws(server, "iam", "create-group", "--group-name", group)
    aws(server, "iam", "attach-group-policy", "--group-name", group, "--policy-arn", FULL_ACCESS)
    aws(server, "iam", "create-user", "--user-name", user, "--tags", "Key=team,Value=shop")
    aws(server, "iam", "add-user-to-group", "--group-name", group, "--user-name", user)
    assert aws_json(server, "iam", "list-user-tags", "--user-name", user)["Tags"] == [{"Key": "team", "Value": "shop"}]
    made = aws_json(server, "iam", "create-policy", "--policy-name", name, "--policy-document", role_policy("b"))
    arn = made["Policy"]["Arn"]
    made = aws_json(server, "iam", "create-policy-version", "--policy-arn", arn, "--policy-document", role_policy("c"),
                    "--set-as-default")["PolicyVersion"]
    assert (made["VersionId"], made["IsDefaultVersion"]) == ("v2", True)
