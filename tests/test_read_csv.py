"""The reader's own CSV: every fault ends in one sentence that names file and row; nothing is dropped."""

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from sft_helpers import data, resources
from sft_helpers.data import DataError, load, load_files, read_csv

GOOD = "text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(40))


def written(tmp_path, content, name="mine.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return str(path)


@pytest.mark.parametrize(("content", "says"), [
    ("", "the file is empty"),
    ("\n\n", "the file is empty"),
    ("text,label\n", "no row below"),
    ("text,label\ngut,a\nsch\xf6n,b\n".encode("latin-1"), "row 3: the text is not UTF-8"),
    (GOOD.encode("utf-16"), "row 1: the text is not UTF-8"),
    ("text,label\ngood\x00,a\nbad,b\n", "row 2: a NUL character"),
    ("review,label\ngood,a\nbad,b\n", "no column 'text'; the columns are 'review', 'label'"),
    ("text,sentiment\ngood,a\nbad,b\n", "no column 'label'"),
    ("text,label,label\ngood,a,a\nbad,b,b\n", "two columns are named 'label'"),
    ("Text,TEXT,label\ngood,fine,a\nbad,ugly,b\n", "two columns are named 'Text'"),
    ("text;label\ngood;a\nbad;b\n", "separated by semicolons; save the file with commas"),
    ("text\tlabel\ngood\ta\nbad\tb\n", "separated by tabs"),
    ('text,label\ngood,"a\nb"\nbad,b,c\n', "row 4: 3 columns"),
    ("text,label\ngood,a\nso,a\nSo,b\n", "row 3 and row 4: the same text is labelled 'a' and 'b'"),
    ("text,label\ncaf\u00e9,a\nCAFE\u0301,b\n", "row 2 and row 3: the same text is labelled 'a' and 'b'"),
    ("text,label,split\nso,a,train\nso,b,train\n", "row 2 and row 3: the same text is labelled"),
    ("text,label\ngood,a\nbad,b\nfine,A\n", "row 2 and row 4: the labels 'a' and 'A' differ in nothing but capitals"),
    ("text,label\ngood\xe9,a\rsch\xf6n,b\r".encode("latin-1"), "row 2: the text is not UTF-8"),
    ("text,label\ngood,a\n,b\n", "row 3: the text is empty"),
    ("text,label\ngood,a\n  ,b\n", "row 3: the text is empty"),
    ("text,label\ngood,a\n,\nbad,b\n", "row 3: the text is empty"),
    ("text,label\ngood,\nbad,b\n", "row 2: the label is empty"),
    ("text,label\ngood,a\nbad,b,c\n", "row 3: 3 columns where the header has 2; a text with a comma in it"),
    ("text,label\ngood,a\nbad\n", "row 3: 1 columns where the header has 2; a column is missing"),
    ('text,label\ngood,a\n"bad,b\nugly,b\n', "row 3: not a well-formed CSV row"),
    ('text,label\n"good,a\nbad,b\n', "look for a quote that is not closed"),
    ('text,label\n"two\nlines",a\ngood,a\n"bad" indeed,b\n', "row 5: not a well-formed CSV row"),
    ("text,label\ngood,a\nfine,a\n", "every row has the label 'a'"),
    ("text,label,split\ngood,a,train\nbad,b,training\n", "row 3: unknown split 'training'"),
])
def test_a_fault_is_named_with_file_and_row(tmp_path, content, says):
    path = written(tmp_path, content)
    with pytest.raises(DataError) as error:
        load(path)
    message = str(error.value)
    assert message.startswith(path)
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(("content", "says"), [
    ("good,a,train\nbad,b,train\nfine,a,test\nugly,b,test\n", "no row has the split 'validation'; "
     "give each row one of train, validation, test, or leave the column out"),
    ("good,a,train\nbad,a,train\nfine,b,test\nugly,a,validation\n", "every training row has the label 'a'"),
    ("good,a,train\nbad,b,train\nfine,c,test\nugly,a,validation\n", "row 4: unknown label 'c'"),
    ("good,a,train\nbad,b,train\nGood ,a,test\nugly,a,validation\n", "row 2 and row 4: the same text stands in"),
])
def test_a_split_column_is_checked(tmp_path, content, says):
    with pytest.raises(DataError, match=says):
        load(written(tmp_path, "text,label,split\n" + content))


def test_missing_file(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name, where in (("nowhere.csv", "the folder 'here' that this runs in"), ("NOWHERE.CSV", "the folder 'here'"),
                        (tmp_path / "nowhere.csv", "this path")):
        with pytest.raises(DataError, match=rf"(?i)nowhere\.csv: there is no such file \(looked from {where}"):
            load(name)


def test_unknown_name_says_what_is_possible():
    with pytest.raises(DataError, match="Possible are 'reviews', the path of a CSV file"):
        load("reviws")


def test_too_few_texts_of_a_label(tmp_path):
    with pytest.raises(DataError, match="label 'b' has 2 different texts"):
        load(written(tmp_path, "text,label\n" + "".join(f"t{i},a\n" for i in range(9)) + "x,b\ny,b\n"))


def test_the_same_text_with_two_labels(tmp_path):
    with pytest.raises(DataError, match="row 42 and row 43: the same text is labelled 'a' and 'b'"):
        load(written(tmp_path, GOOD + "so so,a\nSo  so,b\n"))


def test_every_row_arrives_once(tmp_path):
    found = load(written(tmp_path, GOOD))
    texts = sorted(text for rows in found.values() for text in rows["text"])
    assert texts == sorted(f"text number {i}" for i in range(40))
    assert {name: len(rows) for name, rows in found.items()} == {"train": 28, "validation": 4, "test": 8}
    assert found["train"].features["label"].names == ["a", "b"]


def test_labels_are_numbered_by_the_alphabet_whichever_comes_first(tmp_path):
    found = load(written(tmp_path, "text,label\n" + "".join(f"text {i},{'ba'[i % 2]}\n" for i in range(40))))
    assert found["train"].features["label"].names == ["a", "b"]
    assert all(label == (int(text.split()[1]) + 1) % 2 for rows in found.values()
               for text, label in zip(rows["text"], rows["label"], strict=True))


def test_the_split_is_stratified_and_fixed_by_its_seed(tmp_path):
    path = written(tmp_path, GOOD)
    first, again, other = (load(path, seed=seed) for seed in (0, 0, 1))
    for rows in first.values():
        assert sum(rows["label"]) * 2 == len(rows)
    assert list(first["test"]["text"]) == list(again["test"]["text"])
    assert list(first["test"]["text"]) != list(other["test"]["text"])


def test_exactly_enough_texts_of_a_label_are_one_for_each_split(tmp_path):
    found = load(written(tmp_path, "text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(6))))
    assert {split: sorted(rows["label"]) for split, rows in found.items()} == dict.fromkeys(data.SPLITS, [0, 1])


def test_shares_are_rounded_to_the_nearest_number_of_texts(tmp_path):
    found = load(written(tmp_path, "text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(30))))
    assert {name: len(rows) for name, rows in found.items()} == {"train": 20, "validation": 4, "test": 6}


def test_equal_texts_never_part(tmp_path):
    content = "text,label\n" + "".join(f"text {i % 12},{'ab'[i % 2]}\n" for i in range(48))
    found = load(written(tmp_path, content))
    sets = [set(rows["text"]) for rows in found.values()]
    assert sum(map(len, sets)) == 12 and sum(map(len, found.values())) == 48


def test_quoted_commas_line_breaks_and_a_byte_order_mark(tmp_path):
    path = written(tmp_path, '\ufefftext,label\r\n"one, two",a\r\n"three\r\nfour",b\r\n"say ""five""\u2028six",b\r\n')
    rows = read_csv(path)
    assert [row.text for row in rows] == ["one, two", "three\r\nfour", 'say "five"\u2028six']
    assert [row.place for row in rows] == ["row 2", "row 3", "row 5"]


def test_blank_lines_hold_no_row_but_are_counted(tmp_path):
    rows = read_csv(written(tmp_path, "text,label\ngood,a\n\n  \nbad,b\n\n"))
    assert [(row.text, row.place) for row in rows] == [("good", "row 2"), ("bad", "row 5")]


def test_blanks_around_header_text_and_label_are_left_out(tmp_path):
    rows = read_csv(written(tmp_path, "text , label\n good , a\nbad,b \nfine,a\n"))
    assert [(row.text, row.label) for row in rows] == [("good", "a"), ("bad", "b"), ("fine", "a")]


def test_other_column_names(tmp_path):
    path = written(tmp_path, GOOD.replace("text,label", "review,stars"))
    assert len(load(path, text_column="review", label_column="stars")["train"]) == 28


def test_relative_paths_are_relative_to_where_it_runs(tmp_path, monkeypatch):
    written(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    assert len(load("mine.csv")["train"]) == 28


def test_capitals_and_blanks_in_header_and_split_do_no_harm(tmp_path):
    content = "Text,LABEL,Split\n" + "".join(
        f"text {i},{'ab'[i % 2]},{('Train', 'train', 'Validation', ' TEST ')[i // 2 % 4]}\n" for i in range(40))
    found = load(written(tmp_path, content))
    assert {name: len(rows) for name, rows in found.items()} == {"train": 20, "validation": 10, "test": 10}


def test_a_split_column_of_another_name_never_loses_rows(tmp_path):
    content = "text,label,fold,split\n" + "".join(
        f"text {i},{'ab'[i % 2]},{('train', 'validation', 'test')[i // 2 % 3]},holdout\n" for i in range(60))
    found = load(written(tmp_path, content), split_column="fold")
    assert sum(map(len, found.values())) == 60
    with pytest.raises(DataError, match="no column 'part'"):
        load(written(tmp_path, content), split_column="part")


def test_text_and_label_must_be_two_columns(tmp_path):
    with pytest.raises(DataError, match="cannot be the same column"):
        load(written(tmp_path, GOOD), label_column="text")


def test_odd_names_and_places(tmp_path, monkeypatch):
    written(tmp_path, GOOD)
    (tmp_path / "folder.csv").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("~/mine.csv")["train"]) == 28 and len(load_files("~/mine.csv")["train"]) == 36
    assert len(load(tmp_path / "mine.csv")["train"]) == 28  # a Path serves as well
    for name, says in ((tmp_path / "folder.csv", "is a folder"), ("", "Unknown data ''"), ("x" * 5000, "Unknown data"),
                       (None, "Unknown data 'None'"), ("~nosuchuser/mine", "Unknown data"),
                       ("~nosuchuser/mine.csv", "there is no such file")):
        with pytest.raises(DataError, match=says):
            load(name)


def test_a_long_value_does_not_make_a_long_message(tmp_path):
    path = written(tmp_path, f"text,label,split\ngood,a,{'x' * 5000}\nbad,b,train\n")
    with pytest.raises(DataError) as error:
        load(path)
    assert len(str(error.value)) < len(path) + 200


def test_a_long_text_is_read_up_to_a_limit(tmp_path, monkeypatch):
    path = written(tmp_path, GOOD + f"{'long ' * 50_000},a\n")
    with monkeypatch.context() as patch, pytest.raises(DataError, match="row 42: .*a field is too long"):
        patch.setattr(data, "LONGEST_FIELD", 200_000)
        read_csv(path)
    assert max(len(row.text) for row in read_csv(path)) > 200_000


def test_of_a_training_file_every_tenth_text_validates_each_label_alike(tmp_path):
    found = load_files(written(tmp_path, "text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(60))))
    assert {name: sorted(rows["label"]) for name, rows in found.items()} == {
        "train": [0] * 27 + [1] * 27, "validation": [0] * 3 + [1] * 3}
    assert not set(found["train"]["text"]) & set(found["validation"]["text"])


def test_of_a_training_file_the_seed_decides_which_texts_validate(tmp_path):
    path = written(tmp_path, GOOD)
    first, again, other = (set(load_files(path, seed=seed)["validation"]["text"]) for seed in (0, 0, 1))
    assert first == again != other


def test_only_the_training_file_needs_two_labels(tmp_path):
    one = written(tmp_path, "text,label\nnew,a\nnewer,a\n", "one.csv")
    assert load_files(written(tmp_path, GOOD), test=one)["test"]["label"][:] == [0, 0]
    with pytest.raises(DataError, match="one.csv: every row has the label 'a'"):
        load_files(one)


def test_a_file_for_a_split_may_say_so_in_a_column(tmp_path):
    test = written(tmp_path, "text,label,split\nnew,a,test\nnewer,b,test\n", "test.csv")
    assert list(load_files(written(tmp_path, GOOD), test=test)["test"]["text"]) == ["new", "newer"]
    with pytest.raises(DataError, match="test.csv, row 2: the column 'split' says 'test', but .* for 'validation'"):
        load_files(written(tmp_path, GOOD), validation=test)


def test_texts_are_checked_across_files(tmp_path):
    train = written(tmp_path, GOOD)
    other = tmp_path / "test.csv"
    other.write_text("text,label\nnew,a\nnewer,b\n", encoding="utf-8")
    assert list(load_files(train, test=other)["test"]["text"]) == ["new", "newer"]
    text, label = GOOD.splitlines()[1].rsplit(",", 1)
    other.write_text(f"text,label\n{text},{label}\nnewer,{'b' if label == 'a' else 'a'}\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 2 and test.csv row 2: the same text stands in"):
        load_files(train, test=other)
    other.write_text(f"text,label\n{text},{'b' if label == 'a' else 'a'}\nnewer,{label}\n", encoding="utf-8")
    with pytest.raises(DataError, match="the same text is labelled"):
        load_files(train, test=other)


def test_each_label_has_a_text_in_each_split_however_few_it_has(tmp_path):
    content = "text,label\n" + "".join(f"text {i},{label}\n" for i, label in enumerate("a" * 40 + "b" * 4))
    for rows in load(written(tmp_path, content)).values():
        assert set(rows["label"]) == {0, 1}


def test_a_header_written_as_asked_goes_before_one_in_other_capitals(tmp_path):
    content = "Text,text,label\n" + "".join(f"other {i},text {i},{'ab'[i % 2]}\n" for i in range(40))
    assert all(text.startswith("text") for rows in load(written(tmp_path, content)).values() for text in rows["text"])


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A function that puts a data set, {split: (texts, labels)}, where one from the hub would lie."""
    def put(names=None, **splits):
        kind = ClassLabel(names=names) if names else Value("int64")
        for split, (texts, labels) in splits.items():
            rows = Dataset.from_dict({"text": texts, "label": labels},
                                     features=Features({"text": Value("string"), "label": kind}))
            rows.to_parquet(tmp_path / f"{split}.parquet")
        monkeypatch.setattr(resources, "hub_folder", lambda name, kind: tmp_path)
        return "someone/set"
    return put


def test_a_hub_sets_own_label_order_and_its_texts_without_outer_blanks(hub):
    found = load(hub(names=["pos", "neg"], train=([f" text {i}\n" for i in range(40)], [i % 2 for i in range(40)]),
                     validation=(["more"], [0]), test=(["some"], [1])))
    assert found["train"].features["label"].names == ["pos", "neg"]
    assert list(found["train"]["text"])[:2] == ["text 0", "text 1"] and list(found["train"]["label"])[:2] == [0, 1]
    assert {split: len(rows) for split, rows in found.items()} == {"train": 40, "validation": 1, "test": 1}


@pytest.mark.parametrize("names", [["neg", "pos"], None])
def test_a_hub_set_with_hidden_test_labels_gets_its_splits_from_the_rest_by_seed(hub, names):
    name = hub(names=names, train=([f"text {i}" for i in range(40)], [i % 2 for i in range(40)]),
               validation=(["one", "two"], [0, 1]), test=(["hidden"], [-1]))
    first, again, other = (load(name, seed=seed) for seed in (0, 0, 1))
    assert list(first["test"]["text"]) == ["one", "two"] and len(first["train"]) + len(first["validation"]) == 40
    assert list(first["validation"]["text"]) == list(again["validation"]["text"])
    assert list(first["validation"]["text"]) != list(other["validation"]["text"])


def test_minus_one_is_a_label_where_no_names_are_declared_and_not_all_of_test_has_it(hub):
    found = load(hub(**{split: ([f"{split} {i}" for i in range(4)], [-1, 1, -1, 1]) for split in data.SPLITS}))
    for split, rows in found.items():
        assert [rows.features["label"].names[i] for i in rows["label"]] == ["-1", "1", "-1", "1"]
        assert rows["text"][0] == f"{split} 0"


@pytest.mark.parametrize(("name", "given", "says"), [
    ("reviews", {"text_column": "said"}, "'reviews' have columns and splits of their own"),
    ("reviews", {"label_column": "pair"}, "'reviews' have columns and splits of their own"),
    ("reviews", {"split_column": "fold"}, "'reviews' have columns and splits of their own"),
    ("someone/set", {"split_column": "fold"}, "'someone/set' has splits of its own"),
    ("someone/set", {"text_column": "said"}, "has no column 'said'.*with text_column=…"),
    ("someone/set", {"label_column": "stars"}, "has no column 'stars'.*with label_column=…"),
    ("someone/set", {}, "has no column 'sentence'")])
def test_no_column_that_is_named_is_ignored(hub, monkeypatch, name, given, says):
    hub(train=(["a", "b"], [0, 1]), test=(["c"], [0]))
    monkeypatch.setattr(data, "HUB_COLUMNS", {"someone/set": ("sentence", "label")})
    with pytest.raises(DataError, match=says):
        load(name, **given)


@pytest.mark.parametrize(("splits", "says"), [
    ({"train": (["a", "b"], [0, None]), "test": (["c"], [0])}, "row 1 of 'train': the label is missing"),
    ({"names": ["n", "p"], "train": (["a", "b"], [0, -1]), "test": (["c"], [0])}, "row 1 of 'train': the label"),
    ({"train": (["a", "b"], [0, 1]), "validation": (["c"], [0]), "test": (["d", "e"], [0, None])},
     "row 1 of 'test': the label is missing"),
    ({"train": (["a", " "], [0, 1]), "test": (["c"], [0])}, "row 1 of 'train': the text is empty"),
    ({"train": (["a", "b"], [0, 1]), "validation": (["c"], [0]), "test": (["d"], [2])},
     "row 0 of 'test': unknown label '2': no training row has it"),
    ({"train": (["a", "b"], [1, 1]), "test": (["c"], [1]), "validation": (["d"], [1])}, "one label"),
    ({"train": (["a", "b"], [0, 1])}, "neither a labelled test nor a validation split"),
    ({"test": (["a", "b"], [0, 1])}, "no split 'train'")])
def test_what_a_hub_set_lacks_is_named(hub, splits, says):
    with pytest.raises(DataError, match=f"The data set 'someone/set'.*{says}"):
        load(hub(**splits))
