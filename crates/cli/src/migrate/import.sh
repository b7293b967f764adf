#!/usr/bin/env bash
# Imports the dataset group @GROUP@ of this folder into Amazon Personalize. It may be run again: what is there stays.
#
#   BUCKET=my-bucket ROLE_ARN=arn:aws:iam::111122223333:role/PersonalizeImport REGION=eu-west-1 ./import.sh
#
# BUCKET     a bucket in REGION that you may write to; its policy lets personalize.amazonaws.com read
# ROLE_ARN   a role that Personalize may take and that may read BUCKET
# PREFIX     where the files go in the bucket: in a folder @MAKING@ there, which no other script uses [lade/@GROUP@]
# GROUP_KMS_KEY_ARN, GROUP_ROLE_ARN   a key for the group and the role that may use it [none]
# POLL_S     seconds between two looks at what is being made [15]
set -euo pipefail
: "${BUCKET:?name the bucket}" "${ROLE_ARN:?name the role}" "${REGION:?name the region}"
PREFIX="${PREFIX:-lade/@GROUP@}"
PREFIX="${PREFIX%/}/@MAKING@"
POLL_S="${POLL_S:-15}"
export AWS_PAGER=""
cd "$(dirname "$0")"

# Within $( ) no failure ends a function by itself: each says what follows from it.
personalize() { aws personalize --region "$REGION" --output text "$@"; }

# found LIST MEMBER NAME_MEMBER NAME ARN_MEMBER [FILTER]...: the ARN of what bears a name, or nothing.
found() {
  local list=$1 member=$2 name_member=$3 name=$4 arn_member=$5 arn
  shift 5
  arn=$(personalize "$list" "$@" --query "${member}[?${name_member}=='${name}'].${arn_member}") || return 1
  arn=$(printf '%s' "$arn" | tr -d '[:space:]')
  if [ "$arn" != None ]; then printf '%s' "$arn"; fi
}

# wait_for DESCRIBE FLAG ARN MEMBER: until it is ACTIVE.
wait_for() {
  local status reason
  while :; do
    status=$(personalize "$1" "$2" "$3" --query "$4.status") || return 1
    case $status in
      ACTIVE) return 0 ;;
      *FAILED*)
        reason=$(personalize "$1" "$2" "$3" --query "$4.failureReason") || return 1
        echo "$3: $status: $reason" >&2
        return 1 ;;
    esac
    sleep "$POLL_S"
  done
}

# schema NAME FILE [FLAG]...: prints the ARN.
schema() {
  local name=$1 file=$2 arn
  shift 2
  arn=$(found list-schemas schemas name "$name" schemaArn) || return 1
  if [ -z "$arn" ]; then
    arn=$(personalize create-schema --name "$name" --schema "file://$file" "$@" --query schemaArn) || return 1
    echo "made schema $name" >&2
  fi
  printf '%s' "$arn"
}

# dataset TYPE NAME SCHEMA_ARN TAGS: prints the ARN.
dataset() {
  local type=$1 name=$2 schema_arn=$3 tags=$4 arn
  arn=$(found list-datasets datasets datasetType "$type" datasetArn --dataset-group-arn "$group") || return 1
  if [ -z "$arn" ]; then
    arn=$(personalize create-dataset --name "$name" --dataset-type "$type" --schema-arn "$schema_arn" \
      --dataset-group-arn "$group" --tags "$tags" --query datasetArn) || return 1
    echo "made dataset $name ($type)" >&2
  fi
  wait_for describe-dataset --dataset-arn "$arn" dataset || return 1
  printf '%s' "$arn"
}

# import DATASET_ARN NAME MODE LOCATION: a job that was ACTIVE once is not made again; one that failed gets a successor.
import() {
  local dataset_arn=$1 name=$2 mode=$3 location=$4 number=1 arn status
  while :; do
    arn=$(found list-dataset-import-jobs datasetImportJobs jobName "$name-$number" datasetImportJobArn \
      --dataset-arn "$dataset_arn") || return 1
    if [ -z "$arn" ]; then break; fi
    status=$(personalize describe-dataset-import-job --dataset-import-job-arn "$arn" --query datasetImportJob.status) \
      || return 1
    case $status in
      ACTIVE) echo "$name-$number is there" >&2; return 0 ;;
      *FAILED*) number=$((number + 1)) ;;
      *) break ;;
    esac
  done
  if [ -z "$arn" ]; then
    arn=$(personalize create-dataset-import-job --job-name "$name-$number" --dataset-arn "$dataset_arn" \
      --role-arn "$ROLE_ARN" --import-mode "$mode" --data-source "dataLocation=$location" \
      --query datasetImportJobArn) || return 1
    echo "importing $location ($mode)" >&2
  fi
  wait_for describe-dataset-import-job --dataset-import-job-arn "$arn" datasetImportJob
}

aws s3 sync data "s3://$BUCKET/$PREFIX/" --region "$REGION" --only-show-errors --exclude '*' --include '*.csv'

group=$(found list-dataset-groups datasetGroups name '@GROUP@' datasetGroupArn)
if [ -z "$group" ]; then
  more=(@DOMAIN@)
  if [ -n "${GROUP_KMS_KEY_ARN:-}" ]; then
    more+=(--kms-key-arn "$GROUP_KMS_KEY_ARN" --role-arn "${GROUP_ROLE_ARN:?name the role for the key}")
  fi
  group=$(personalize create-dataset-group --name '@GROUP@' --tags '@TAGS@' ${more[@]+"${more[@]}"} \
    --query datasetGroupArn)
  echo "made dataset group @GROUP@" >&2
fi
wait_for describe-dataset-group --dataset-group-arn "$group" datasetGroup

@DATASETS@
echo "@GROUP@ is imported: $group"
