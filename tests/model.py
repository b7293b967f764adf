"""What an export has to contain, said as plainly as possible: the reference that the server is compared with.

A dataset is a list of bulk rows and a list of (sequence, row) puts; a row is a tuple of the texts that the CSV holds.
"""

from collections import Counter


class Dataset:
    def __init__(self, columns, key=None):
        """`key` names the id column of Items and Users; interactions have none."""
        self.columns = list(columns)
        self.key = self.columns.index(key) if key else None
        self.bulk, self.put_rows, self.sequence = [], [], 0

    def import_full(self, rows):
        self.bulk = []
        self.import_incremental(rows)

    def import_incremental(self, rows):
        self.bulk += self._numbered(rows)

    def put(self, *rows):
        self.put_rows += self._numbered(rows)

    def export(self, mode):
        """The multiset of exported rows: equal rows once; in ALL, of each id the newest alone."""
        records = {"BULK": self.bulk, "PUT": self.put_rows, "ALL": self.bulk + self.put_rows}[mode]
        if mode == "ALL" and self.key is not None:
            newest = {row[self.key]: row for _, row in sorted(records, key=lambda record: record[0])}
            return Counter(newest.values())
        return Counter({row for _, row in records})

    def _numbered(self, rows):
        numbered = [(self.sequence + n, tuple(row)) for n, row in enumerate(rows, 1)]
        self.sequence += len(numbered)
        return numbered
