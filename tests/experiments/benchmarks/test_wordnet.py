"""The wordnet benchmark as the whole of it is used; what needs WordNet itself is skipped where it is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.scripted_engine import scripted_lm
from controllers.workers.chat import ChatWorker
from controllers.worlds.wordnet import Reading
from controllers.worlds.wordnet_lexicon import DEBIAN, stems
from controllers.worlds.wordnet_question import conditions_of, holds
from experiments import Benchmark
from experiments.benchmarks.wordnet import WordnetBenchmark, WordnetConfig
from experiments.catalogue import load_benchmark
from experiments.testing import SPLITS, BenchmarkContract, all_tasks
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Steer, Task

SMALL = Path(__file__).parents[2] / "data" / "wordnet"
needs_wordnet = pytest.mark.skipif(
    not (DEBIAN / "data.noun").is_file(), reason="needs WordNet: apt-get install wordnet-base"
)


@pytest.fixture(scope="module")
def bench() -> WordnetBenchmark:
    return WordnetBenchmark(WordnetConfig(per_file=3))


@needs_wordnet
class TestWordnet(BenchmarkContract):
    @pytest.fixture
    def benchmark(self, bench: WordnetBenchmark) -> Benchmark:
        return bench


@needs_wordnet
def test_every_file_gives_its_questions(bench: WordnetBenchmark) -> None:
    assert [len(bench.tasks(split)) for split in SPLITS] == [48, 15, 15]
    assert len({names for split in SPLITS for names in bench.families(split).values()}) == 26


@needs_wordnet
def test_one_entry_alone_meets_all_conditions(bench: WordnetBenchmark) -> None:
    """The probes' entry speaks of the last condition's word, and its rivals, which meet the others, do not."""
    lexicon, judge = bench.world.lexicon, bench.judge()
    good = {task.digest: Reading.of(output).answer for _, task, output, right in bench.probes() if right}
    for task in (task for task in all_tasks(bench) if task.digest in good):
        answer, conditions = good[task.digest], conditions_of(task.prompt)
        file = conditions[0].words[0]
        crisp, about = conditions[:-1], conditions[-1].words[0]
        fitting = {id for id in lexicon.in_file(file) if all(holds(one, id, lexicon.entry) for one in crisp)}
        assert answer in fitting and len(fitting) > 1
        kin = {about}
        for id in lexicon.of_lemma(about):
            kin.update(w for one in (id, *lexicon.neighbours(id, ("hyponym",))) for w in lexicon.entry(one).lemmas)
        single = {one for word in kin if word.isalpha() for one in stems(word)}
        assert {id for id in fitting if single & stems(lexicon.entry(id).gloss)} == {answer}
    assert judge.deterministic


@needs_wordnet
def test_no_prompt_uses_a_word_of_the_answer(bench: WordnetBenchmark) -> None:
    for _, task, output, right in bench.probes():
        if right:
            answer = bench.world.lexicon.entry(Reading.of(output).answer or "")
            words = {w for condition in conditions_of(task.prompt) for w in condition.terms}
            assert not stems(" ".join(answer.lemmas)) & stems(" ".join(words))


@needs_wordnet
async def test_the_searcher_answers_and_the_checkers_measure_it(bench: WordnetBenchmark) -> None:
    task = bench.tasks("search")[0]
    context = AttemptContext(attempt_id="a", steer=Steer(), seed=1)
    result = await bench.worker(None, None).attempt(task, context, None)
    found = {checker.objective: await checker.check(task, result) for checker in bench.checkers()}
    assert all(check.value is not None for check in found.values())
    assert found["fast"].value == len(result.trace) <= bench.config.turns
    assert Reading.of(result.output).answer is not None


@needs_wordnet
async def test_a_rival_passes_the_checker_and_fails_the_judge(bench: WordnetBenchmark) -> None:
    checker, judge = bench.checkers()[0], bench.judge()
    rivals = [(task, output) for name, task, output, _ in bench.probes() if name == "a rival"]
    assert rivals
    for task, output in rivals:
        assert (await checker.check(task, AttemptResult(output=output))).passed
        assert (await judge.judge(task, output)).reason == "a rival"


@needs_wordnet
@pytest.mark.slow
def test_the_splits_have_the_measured_sizes() -> None:
    bench = WordnetBenchmark()
    assert [len(bench.tasks(split)) for split in SPLITS] == [224, 70, 70]


async def test_a_model_works_with_the_same_tools() -> None:
    bench = WordnetBenchmark(WordnetConfig(folder=SMALL))
    replies = iter(('{"tool": "answer", "arguments": {"synset": "n00000030"}}', '{"answer": "done"}'))
    lm, engine = scripted_lm(lambda prompt: next(replies))
    worker = bench.worker("chat", lm)
    assert isinstance(worker, ChatWorker)
    task = Task(digest="x", benchmark="wordnet", prompt="Which?")
    result = await worker.attempt(task, AttemptContext(attempt_id="a", steer=Steer(), seed=0), None)
    assert Reading.of(result.output).answer == "n00000030"
    assert "search(words: string, file?: string)" in engine.prompts[0]


def test_options_come_as_json() -> None:
    bench = load_benchmark("wordnet", {"folder": str(SMALL), "noise": 0.3, "turns": 9})
    assert bench.worker(None, None).fingerprint.params["noise"] == "0.3"
    assert bench.objectives[1].worst == 36


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"dev_files": ("noun.fish",)}, "no lexicographer file 'noun.fish'"),
        ({"dev_files": ("noun.act",)}, "splits overlap: noun.act"),
    ],
)
def test_splits_that_cannot_be_are_refused(options: dict[str, tuple[str, ...]], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        WordnetBenchmark(WordnetConfig.model_validate({"folder": SMALL, **options}))


def test_where_wordnet_is_absent_it_says_how_to_get_it(tmp_path: Path) -> None:
    bench = WordnetBenchmark(WordnetConfig(folder=tmp_path))
    with pytest.raises(UsageError, match="wordnet-base"):
        bench.tasks("search")
