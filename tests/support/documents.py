"""The project's markdown: its pages, their blocks with the marks before them, links, headings and code spans."""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = ("sh", "python", "js")
READ = ("toml", "json", "yaml")
# Other names of a language that has one here.
MISNAMED = {"bash", "shell", "console", "zsh", "shell-session", "py", "javascript", "yml"}
# A block without a language is output or a picture, so none of its lines is to be typed.
TYPED = re.compile(r"(?:lade|aws|cargo|curl|eval|sudo|docker|cp|tar|python3|npm|git) |export [A-Z_]+=|\./|\$ ")
COMMENT = re.compile(r"<!--(.*?)-->", re.S)
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
# What waits for a server in the line behind it, as a reader has to.
WAITS = re.compile(r"lade health\b[^\n]* --wait-s \d")
# A server that is left running; whoever needs it waits for it in the next block, unless that line does.
SERVES = re.compile(r"^(?:.*[\s/])?lade serve\b(?:[^\n&]|&&|\d?>&\d)*&[ \t]*(?:#.*)?$", re.M)
FENCE = re.compile(r"^( *)```(.*)$")


@dataclass
class Block:
    """A fenced block, or the commands of a hidden comment; `line` and `last` are its first and last, from 1."""

    page: str
    line: int
    language: str
    text: str
    last: int
    marks: dict = field(default_factory=dict)

    @property
    def place(self):
        return f"{self.page}:{self.line}"

    @property
    def is_hidden(self):
        return self.language == "sh:"

    @property
    def serves(self):
        return self.language in ("sh", "sh:") and SERVES.search(re.sub(r"\\\n\s*", " ", self.text)) is not None

    @property
    def waits(self):
        """Whether the server that the block starts is waited for in the block itself."""
        text = re.sub(r"\\\n\s*", " ", self.text)
        found = SERVES.search(text) if self.serves else None
        return found is not None and WAITS.match(text[found.end():].strip()) is not None

    @property
    def is_run(self):
        return self.is_hidden or (self.language in RUN and "not run" not in self.marks)


@dataclass
class Page:
    name: str
    text: str
    blocks: list
    wrong: list

    @property
    def prose(self):
        """The text with blank lines in place of its blocks and comments."""
        lines = self.text.splitlines()
        for block in self.blocks:
            lines[block.line - 1:block.last] = [""] * (block.last - block.line + 1)
        return "\n".join(lines)

    @property
    def paragraphs(self):
        return re.split(r"\n\s*\n|\n(?=[|*-]|\d+\. )", self.prose)

    @property
    def spans(self):
        """What stands between backticks in the running text, each in one line."""
        return [" ".join(span.split()) for text in self.paragraphs for span in CODE.findall(text)]

    @property
    def headings(self):
        """The anchors that GitHub gives the headings."""
        anchors = []
        for title in re.findall(r"^#{1,6} +(.+?) *$", self.prose, re.M):
            title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
            anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            again = sum(one == anchor or re.fullmatch(re.escape(anchor) + r"-\d+", one) is not None for one in anchors)
            anchors.append(f"{anchor}-{again}" if again else anchor)
        return anchors

    @property
    def links(self):
        """The targets of links and pictures, without those that lead out of the project."""
        targets = [target for text in self.paragraphs for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", text))]
        return [target for target in targets if not re.match(r"[a-z]+:", target)]


def names():
    """All pages, as paths below the project's folder."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def read(name):
    return parse(name, (ROOT / name).read_text())


def lost(page, pages):
    """What the page's links and mentions lead to that is not there, as sentences."""
    wrong = []
    for target in page.links:
        path, _, heading = target.partition("#")
        file = ((ROOT / page.name).parent / path).resolve() if path else ROOT / page.name
        found = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else None
        if path and (found is None or not file.exists()):
            wrong.append(f"{page.name}: {target}: there is no such file")
        elif heading and (found not in pages or heading not in pages[found].headings):
            wrong.append(f"{page.name}: {target}: there is no such heading")
    prose = re.sub(r"\]\([^)\s]*\)", "]", page.text)
    return wrong + [f"{page.name}: {path}: there is no such file" for path in re.findall(r"\bdocs/[\w./-]+\.md\b", prose)
                    if not (ROOT / path).exists()]


def parse(name, text):
    """A page, with what is wrong about its blocks and marks as sentences."""
    page = Page(name, text, [], [])
    lines = text.splitlines()
    marks, at = {}, 0
    while at < len(lines):
        line, number = lines[at], at + 1
        fence = FENCE.match(line)
        if line.lstrip().startswith("<!--"):
            end = next((n for n in range(at, len(lines)) if "-->" in lines[n]), None)
            if end is None:
                page.wrong.append(f"{name}:{number}: the comment has no end")
                break
            comment = "\n".join(lines[at:end + 1])
            _take(page, marks, (number, end + 1), COMMENT.search(comment)[1].strip())
            at = end + 1
        elif fence:
            end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == "```"), None)
            if end is None:
                page.wrong.append(f"{name}:{number}: the block has no end")
                break
            body = [body.removeprefix(fence[1]) for body in lines[at + 1:end]]
            _add(page, Block(name, number, fence[2], "".join(f"{line}\n" for line in body), end + 1, marks))
            marks, at = {}, end + 1
        else:
            if line.strip() and marks:
                page.wrong.append(f"{name}:{number}: a mark stands right before its block, and this is none")
                marks = {}
            at += 1
    return page


def _take(page, marks, lines, told):
    line, last = lines
    kind, _, more = (part.strip() for part in told.partition(":"))
    if kind == "sh" and more:
        page.blocks.append(Block(page.name, line, "sh:", f"{more}\n", last))
        _serves_last(page, page.blocks[-1])
    elif kind in ("not run", "fails"):
        marks[kind] = more
        if not more:
            page.wrong.append(f"{page.name}:{line}: the mark says nothing behind `{kind}:`")
    elif told == "prints":
        marks[kind] = True
    else:
        page.wrong.append(f"{page.name}:{line}: no such mark: <!-- {told} -->")


def _add(page, block):
    before = page.blocks[-1] if page.blocks else None
    _serves_last(page, block)
    if block.language in MISNAMED:
        page.wrong.append(f"{block.place}: ```{block.language} has another name here: one of {', '.join(RUN + READ)}")
    elif block.language not in ("", *RUN, *READ):
        page.wrong.append(f"{block.place}: ```{block.language} is not known")
    if "fails" in block.marks and block.language != "sh":
        page.wrong.append(f"{block.place}: only a block of sh can fail")
    if "prints" in block.marks and (block.language or before is None or before.language not in RUN or not before.is_run):
        page.wrong.append(f"{block.place}: what is printed stands, without a language, right after a block that is run")
    if not block.language and "not run" in block.marks:
        page.wrong.append(f"{block.place}: a block without a language is never run")
    if not block.language and "prints" not in block.marks:
        typed = next((line for line in block.text.splitlines() if TYPED.match(line)), None)
        if typed:
            page.wrong.append(f"{block.place}: this is typed, so it is ```sh: {typed}")
    page.blocks.append(block)


def _serves_last(page, block):
    text = re.sub(r"\\\n\s*", " ", block.text)
    found = SERVES.search(text) if block.is_run and block.serves else None
    if found and not block.waits and text[found.end():].strip():
        page.wrong.append(f"{block.place}: what follows a server that is started belongs into the next block, which waits for it")
