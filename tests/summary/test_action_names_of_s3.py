"""The IAM actions of S3, in the form of its own documents."""

from __future__ import annotations

import pytest

from csm_otel.summary.action_names_of_s3 import OF_S3


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        pytest.param("HeadBucket", "ListBucket", id="head-bucket"),
        pytest.param("ListObjectVersions", "ListBucketVersions", id="versions"),
        pytest.param("ListParts", "ListMultipartUploadParts", id="parts"),
        pytest.param("DeleteObjects", "DeleteObject", id="delete-many"),
        pytest.param("DeleteBucketTagging", "PutBucketTagging", id="delete-is-put"),
        pytest.param("GetBucketCors", "GetBucketCORS", id="case"),
        pytest.param("GetBucketEncryption", "GetEncryptionConfiguration", id="without-bucket"),
        pytest.param("GetBucketNotificationConfiguration", "GetBucketNotification", id="without-configuration"),
        pytest.param("ListBucketInventoryConfigurations", "GetInventoryConfiguration", id="list-is-get"),
        pytest.param("GetObjectLockConfiguration", "GetBucketObjectLockConfiguration", id="with-bucket"),
    ],
)
def test_names_of_s3(api: str, expected: str) -> None:
    """S3's names differ each in its own way."""
    assert OF_S3["s3"][api] == expected


def test_deletions_of_settings_are_writes_of_them() -> None:
    """To delete a setting of a bucket takes the permission to set it."""
    table = OF_S3["s3"]
    deletions = [api for api in table if api.startswith("DeleteBucket") and "Metadata" not in api]

    assert len(deletions) == 10
    assert all(table[api].startswith("Put") for api in deletions)
    writes = {api: api.replace("Delete", "Put", 1) for api in deletions}
    assert not [api for api in deletions if table.get(writes[api], writes[api]) != table[api]]
