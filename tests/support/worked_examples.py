"""Three histories, of items, users and interactions: what is imported and put, and what each mode exports afterwards."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby

from support.schemas import INTERACTIONS, ITEMS, USERS, column_names

MODES = ("BULK", "PUT", "ALL")


@dataclass(frozen=True)
class Step:
    """`how` is FULL or INCREMENTAL for an import job, `put` for one call; rows are lines of CSV."""

    how: str
    rows: list
    # Of events: the session and the event's id.
    session: str = "s1"
    event_id: str = "e"


@dataclass(frozen=True)
class Stage:
    """Steps, and the rows that each mode gives after them, in order of arrival."""

    steps: list
    exports: dict = field(default_factory=dict)


ITEMS_PUT = ["i1,11.0,A", "i3,30.0,C", "i3,31.0,C", "i2,25.0,B"]
ITEMS_STAGES = {
    "first": Stage(
        [
            Step("FULL", ["i1,10,A", "i2,20,B", "i2,25,B", "i1,10,A"]),
            Step("put", ["i1,11,A", "i3,30,C"]),
            Step("put", ["i3,30,C"]),
            Step("put", ["i3,31,C"]),
            Step("put", ["i2,25,B"]),
        ],
        {
            "BULK": ["i1,10.0,A", "i2,20.0,B", "i2,25.0,B"],
            "PUT": ITEMS_PUT,
            "ALL": ["i1,11.0,A", "i3,31.0,C", "i2,25.0,B"],
        },
    ),
    "replaced": Stage(
        [Step("FULL", ["i1,12,A"])],
        {"BULK": ["i1,12.0,A"], "PUT": ITEMS_PUT, "ALL": ["i3,31.0,C", "i2,25.0,B", "i1,12.0,A"]},
    ),
    "appended": Stage(
        [Step("INCREMENTAL", ["i1,13,A", "i4,40,D"])],
        {
            "BULK": ["i1,12.0,A", "i1,13.0,A", "i4,40.0,D"],
            "PUT": ITEMS_PUT,
            "ALL": ["i3,31.0,C", "i2,25.0,B", "i1,13.0,A", "i4,40.0,D"],
        },
    ),
    "put again": Stage(
        [Step("put", ["i4,40,D"])],
        {
            "BULK": ["i1,12.0,A", "i1,13.0,A", "i4,40.0,D"],
            "PUT": [*ITEMS_PUT, "i4,40.0,D"],
            "ALL": ["i3,31.0,C", "i2,25.0,B", "i1,13.0,A", "i4,40.0,D"],
        },
    ),
}
USERS_STAGES = {
    "first": Stage(
        [Step("FULL", ["u1,30,F", "u1,31,F", "u2,40,"]), Step("put", ["u2,40,"]), Step("put", ["u1,31,F"])],
        {"BULK": ["u1,30,F", "u1,31,F", "u2,40,"], "PUT": ["u2,40,", "u1,31,F"], "ALL": ["u2,40,", "u1,31,F"]},
    ),
}
INTERACTIONS_STAGES = {
    "first": Stage(
        [
            Step("FULL", ["u1,i1,click,100", "u1,i1,click,100", "u1,i1,view,100"]),
            Step("put", ["u1,i1,click,100"], "s1", "x"),
            Step("put", ["u1,i1,click,101"], "s1", "y"),
            Step("put", ["u1,i1,click,101"], "s2", "z"),
            Step("put", ["s9,i2,view,102"], "s9", "w"),
        ],
        {
            "BULK": ["u1,i1,click,100", "u1,i1,view,100"],
            "PUT": ["u1,i1,click,100", "u1,i1,click,101", "s9,i2,view,102"],
            "ALL": ["u1,i1,click,100", "u1,i1,view,100", "u1,i1,click,101", "s9,i2,view,102"],
        },
    ),
}


class Example:
    """A dataset of its own that goes through a history and is exported in every mode after each stage."""

    def __init__(self, workshop, kind, stages):
        self.workshop = workshop
        self.fields = {"items": ITEMS, "users": USERS, "interactions": INTERACTIONS}[kind]
        self.group = workshop.make_group(**{kind: self.fields}, tracker=kind == "interactions")
        self.dataset = getattr(self.group, kind)
        self.put = getattr(self, f"put_{kind}")
        self.found = {name: self.go_through(stage) for name, stage in stages.items()}

    def go_through(self, stage):
        for step in stage.steps:
            if step.how == "put":
                self.put(step)
            else:
                header = ",".join(column_names(self.fields))
                self.workshop.import_csv(self.dataset, "\n".join([header, *step.rows, ""]), step.how)
        jobs = {mode: self.workshop.start_export(self.dataset, mode) for mode in MODES}
        return {mode: self.workshop.read_export(arn) for mode, arn in jobs.items()}

    def put_items(self, step):
        values = [row.split(",") for row in step.rows]
        items = [(key, {"price": float(price), "categoryL1": category}) for key, price, category in values]
        self.workshop.put_items(self.dataset, *items)

    def put_users(self, step):
        values = [row.split(",") for row in step.rows]
        users = [(key, {"age": int(age), **({"gender": gender} if gender else {})}) for key, age, gender in values]
        self.workshop.put_users(self.dataset, *users)

    def put_interactions(self, step):
        """Whoever bears the session's name is anonymous."""
        for user, item, kind, at in (row.split(",") for row in step.rows):
            known = user if user != step.session else None
            self.workshop.put_event(self.group.tracking_id, known, item, kind, int(at), step.session,
                                    eventId=step.event_id)


def assert_rows(export, lines):
    """These records and no others; those of an id stand together, items and users in their order of arrival."""
    expected = [tuple(line.split(",")) for line in lines]
    assert export.multiset == Counter(expected)
    ids = [key for key, _ in groupby(row[0] for row in export.rows)]
    assert len(ids) == len(set(ids)), ids
    for key in ids:
        found = [row for row in export.rows if row[0] == key]
        if "TIMESTAMP" in export.header:
            assert sorted(found, key=lambda row: int(row[-1])) == found
        else:
            assert found == [row for row in expected if row[0] == key]
