"""What the suites share: a server to start, clients that talk to it, things to make in it, exports to read."""

import os

# With awscrt installed botocore signs through it, which a plain `pip install boto3` does not: here it is for checksums.
os.environ.setdefault("BOTO_DISABLE_CRT", "true")
