"""Whatever a store refuses is one sentence with what to do; a defect of ours stays what it is."""

import errno

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from seatrial.adapters.store_errors import sentence_for, told
from seatrial.errors import PipelineError


def refused(code):
    return ClientError({"Error": {"Code": code, "Message": f"{code}!"}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "said", "todo"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full", "make room"),
        (refused("NoSuchBucket"), "there is no such bucket", "mend the url"),
        (FileNotFoundError("The specified bucket does not exist"), "there is no such bucket", "mend the url"),
        (refused("InvalidAccessKeyId"), "refuses this access", "AWS_SECRET_ACCESS_KEY"),
        (refused("SignatureDoesNotMatch"), "refuses this access", "AWS_SECRET_ACCESS_KEY"),
        (PermissionError("Access Denied"), "refuses this access", "AWS_SECRET_ACCESS_KEY"),
        (NoCredentialsError(), "refuses this access", "AWS_SECRET_ACCESS_KEY"),
        (EndpointConnectionError(endpoint_url="http://store"), "cannot be reached", "AWS_ENDPOINT_URL"),
        (ReadTimeoutError(endpoint_url="http://store"), "cannot be reached", "AWS_ENDPOINT_URL"),
        (ConnectionResetError("reset"), "cannot be reached", "AWS_ENDPOINT_URL"),
        (refused("InternalError"), "failed", "run the same command again"),
        (OSError(errno.EBUSY, "Slow Down"), "failed", "run the same command again"),
    ],
)
def test_each_refusal_says_what_it_is_and_what_to_do(error, said, todo):
    sentence = sentence_for(error, "remote 'storage'")
    assert said in sentence.message
    assert todo in sentence.hint
    with pytest.raises(PipelineError, match=said), told("remote 'storage'"):
        raise error


def test_a_defect_is_not_told_as_a_refusal():
    assert sentence_for(ZeroDivisionError(), "remote 'storage'") is None
    with pytest.raises(ZeroDivisionError), told("remote 'storage'"):
        raise ZeroDivisionError
