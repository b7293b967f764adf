"""boto3: every operation on data succeeds, and is refused by the exception class of its model."""

import pytest
from botocore import xform_name

from support.operations import CALLS, DATA_SIDE, OTHER, World, check_answer, check_modelled, service_of


@pytest.fixture(scope="module")
def world(workshop):
    return World(workshop)


def client_of(world, operation):
    return {"personalize": world.workshop.personalize, "personalize-events": world.workshop.events}[service_of(operation)]


def test_every_operation_on_data_is_called():
    assert sorted(CALLS) == sorted(DATA_SIDE)
    assert (len(DATA_SIDE), len(OTHER)) == (40, 36)


@pytest.mark.parametrize("operation", sorted(CALLS))
def test_it_succeeds(world, operation):
    answer = getattr(client_of(world, operation), xform_name(operation))(**CALLS[operation][0](world))
    metadata = answer.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 200 and metadata["RequestId"]
    check_answer(operation, answer)


@pytest.mark.parametrize("operation", sorted(CALLS))
def test_it_is_refused_by_an_exception_of_its_model(world, operation):
    _, parameters, code = CALLS[operation]
    check_modelled(operation, code)
    client = client_of(world, operation)
    with pytest.raises(getattr(client.exceptions, code)) as caught:
        getattr(client, xform_name(operation))(**parameters(world))
    response = caught.value.response
    assert response["Error"]["Code"] == code and response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status_of(operation, code)


def status_of(operation, code):
    if service_of(operation) == "personalize":
        return 400
    return {"ResourceNotFoundException": 404, "ResourceInUseException": 409}.get(code, 400)
