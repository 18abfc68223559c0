"""Train on speech shards, on a wall-clock budget: `torchrun -m tools.demo_model.train SHARDS OUT`.

Shards may still be arriving while it trains. Each process (one a GPU) keeps all takes in the memory
of its device and has batch-building processes of its own; gradients are averaged over the
processes. The learning rate follows the share of the budget that is spent, so a slower machine
takes fewer steps instead of more time. Without torchrun it runs as one process, on a CPU too.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import multiprocessing.queues
import os
import threading
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - its customary name
from torch import Tensor, nn

from .network import Dimensions, Recognizer, deepen
from .sound import Acoustics, TakePool
from .voices import SAMPLE_RATE
from .weights import layer_count, read_weights, write_weights
from .windows import ENOUGH_TAKES, IGNORED, WINDOW, Batch, build_batches


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What to train from, for how long and how."""

    shards: Path
    out: Path
    start: Path  # a Hugging Face model folder: the weights to go on from, and the tokenizer
    seconds: float
    batch_size: int = 128
    rate: float = 1e-3
    rate_floor: float = 0.005  # share of the peak rate at the very end
    warmup: int = 300  # steps: compiling the first may take a minute of the budget
    weight_decay: float = 0.02
    letter_weight: float = 0.15
    letter_warmup: float = (
        90  # seconds until the letter head, which starts untaught, has its weight
    )
    encoder_layers: int = 6
    pool_hours: float = 240
    builders: int = 3
    save_every: float = 60
    seed: int = 20
    compile: bool = True


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which of the training processes this is, and its device."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def from_environment(cls) -> Place:
        """As torchrun says; alone if it does not."""
        rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        with_gpu = torch.cuda.is_available()
        device = torch.device("cuda", local) if with_gpu else torch.device("cpu")
        if with_gpu:
            torch.cuda.set_device(device)
        if count > 1:
            dist.init_process_group("nccl" if with_gpu else "gloo")
        return cls(rank=rank, count=count, device=device)


class ShardLoader:
    """Brings finished shards into the pool and tells the batch builders through an index file."""

    def __init__(self, shards: Path, index: Path, pool: TakePool) -> None:
        self._shards, self._index, self._pool = shards, index, pool
        self._seen: set[Path] = set()
        self.takes = 0

    def load_news(self) -> None:
        """Load the shards that were finished since the last time, as far as there is room."""
        for records in sorted(self._shards.glob("*.json")):
            if records in self._seen:
                continue
            base = self._pool.add(np.load(records.with_suffix(".npy")))
            if base is None:
                return
            self._seen.add(records)
            self.takes += records.read_text().count("], [") + 1
            with self._index.open("a") as index:
                index.write(f"{base} {records}\n")

    def follow(self) -> None:
        """Load for ever; the body of a thread."""
        while True:
            self.load_news()
            time.sleep(2)


def start_builders(
    plan: TrainingPlan, place: Place, index: Path
) -> multiprocessing.queues.Queue[Batch]:
    """Processes that put batches into the queue."""
    context = multiprocessing.get_context("spawn")
    batches: multiprocessing.queues.Queue[Batch] = context.Queue(6)
    for number in range(plan.builders):
        seed = plan.seed + 1000 * place.rank + number
        arguments = (index, plan.start / "tokenizer.json", seed, plan.batch_size, batches)
        context.Process(target=build_batches, args=arguments, daemon=True).start()
    return batches


def start_model(plan: TrainingPlan, place: Place) -> Recognizer:
    """The model with the weights to go on from."""
    torch.manual_seed(plan.seed)
    known = read_weights(plan.start / "model.safetensors")
    layers = max(plan.encoder_layers, layer_count(known, "encoder"))
    size = Dimensions(encoder_layers=layers, decoder_layers=layer_count(known, "decoder"))
    model = Recognizer(size)
    deepen(model, {n: torch.from_numpy(a.astype(np.float32)) for n, a in known.items()})
    return model.to(place.device)


def start_optimizer(plan: TrainingPlan, model: Recognizer) -> torch.optim.AdamW:
    """AdamW; vectors are not decayed."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": plan.weight_decay},
        {"params": vectors, "weight_decay": 0},
    ]
    fused = next(model.parameters()).is_cuda
    return torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), fused=fused)


def rate_at(plan: TrainingPlan, elapsed: float, step: int) -> float:
    """Linear warm-up, then half a cosine down to the floor."""
    share = min(1.0, elapsed / plan.seconds)
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return plan.rate * min(1.0, (step + 1) / plan.warmup) * max(plan.rate_floor, cosine)


def losses(
    model: nn.Module, embedding: Tensor, batch: Batch, features: Tensor, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The loss on the tokens, and the loss of the letter head on what is heard."""
    tokens, labels = (
        torch.from_numpy(batch.tokens).to(device),
        torch.from_numpy(batch.labels).to(device),
    )
    with torch.autocast(device.type, dtype=torch.bfloat16):
        states, letter_logits = model(features, tokens)
        wanted = labels != IGNORED
        logits = states[wanted] @ embedding.t().to(states.dtype)
    token_loss = F.cross_entropy(logits.float(), labels[wanted])
    letters = letter_logits.float().log_softmax(-1).transpose(0, 1)
    letter_loss = F.ctc_loss(
        letters,
        torch.from_numpy(batch.letters).to(device),
        torch.from_numpy(batch.letter_ends * letters.shape[0] // WINDOW),
        torch.from_numpy(batch.letter_counts),
        reduction="sum",  # the default mean would let windows without letters drown the others
        zero_infinity=True,
    )
    return token_loss, letter_loss / max(1, len(batch.letters))


def average_gradients(model: nn.Module, place: Place, elapsed: float) -> float:
    """Average the gradients over the processes, and the elapsed time with them, so that all of them
    follow one clock and stop at the same step."""
    if place.count == 1:
        return elapsed
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    clock = torch.tensor([elapsed], device=place.device)
    flat = torch.cat([g.flatten() for g in gradients] + [clock])
    dist.all_reduce(flat)
    flat /= place.count
    pieces = flat[:-1].split([g.numel() for g in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))
    return float(flat[-1].item())


def save(model: Recognizer, out: Path) -> None:
    """The weights without the letter head, renamed into place."""
    state = model.state_dict()
    arrays = {
        n: t.detach().float().cpu().numpy() for n, t in state.items() if not n.startswith("letters")
    }
    write_weights(arrays, out / "model.part")
    (out / "model.part").rename(out / "model.safetensors")


class Trainer:
    """The model, its optimizer and the sound it learns from."""

    def __init__(self, plan: TrainingPlan, place: Place, pool: TakePool) -> None:
        self._plan, self._place, self._pool = plan, place, pool
        self.model = start_model(plan, place)
        self._optimizer = start_optimizer(plan, self.model)
        self._acoustics = Acoustics(place.device, plan.seed + place.rank)
        self._network = torch.compile(self.model, dynamic=False) if plan.compile else self.model
        self._begun = time.monotonic()
        self._elapsed = 0.0
        self.steps = 0

    @property
    def finished(self) -> bool:
        """Whether the budget is spent, by the clock that all processes share."""
        return self._elapsed >= self._plan.seconds

    def step(self, batch: Batch) -> str:
        """One step; what there is to say about it."""
        rate = rate_at(self._plan, self._elapsed, self.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with torch.no_grad():
            features = self._acoustics.features(self._pool.mix(batch))
        embedding = self.model.decoder.token_embedding.weight
        token_loss, letter_loss = losses(
            self._network, embedding, batch, features, self._place.device
        )
        self._optimizer.zero_grad(set_to_none=True)
        letter_weight = self._plan.letter_weight * min(
            1.0, self._elapsed / self._plan.letter_warmup
        )
        (token_loss + letter_weight * letter_loss).backward()
        now = time.monotonic() - self._begun
        self._elapsed = average_gradients(self.model, self._place, now)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self.steps += 1
        if self.steps % 100 and self.steps > 3:
            return ""
        return (
            f"{self._elapsed:6.0f} s  step {self.steps}  tokens {token_loss.item():.3f}"
            f"  letters {letter_loss.item():.3f}  rate {rate:.2e}"
        )


def train(plan: TrainingPlan, place: Place) -> None:
    """Train until the budget is spent."""
    plan.out.mkdir(parents=True, exist_ok=True)
    pool = TakePool(plan.pool_hours, place.device)
    index = plan.out / f"index-{place.rank}.txt"
    index.unlink(missing_ok=True)
    loader = ShardLoader(plan.shards, index, pool)
    threading.Thread(target=loader.follow, daemon=True).start()
    batches = start_builders(plan, place, index)
    while loader.takes < ENOUGH_TAKES:
        time.sleep(0.5)
    trainer = Trainer(plan, place, pool)
    saved = time.monotonic()
    while not trainer.finished:
        report = trainer.step(batches.get())
        if place.rank:
            continue
        if report:
            hours = pool.filled / SAMPLE_RATE / 3600
            print(f"{report}  hours {hours:.1f}  queue {batches.qsize()}", flush=True)
        if time.monotonic() - saved > plan.save_every:
            save(trainer.model, plan.out)
            saved = time.monotonic()
    if place.rank == 0:
        save(trainer.model, plan.out)
        (plan.out / "DONE").write_text(f"{trainer.steps} steps\n")


def main() -> None:
    """Read the plan from the command line and follow it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--weights",
        dest="start",
        type=Path,
        required=True,
        help="folder of the weights to go on from",
    )
    parser.add_argument("--seconds", type=float, required=True, help="the wall-clock budget")
    defaults = {f.name: f.default for f in fields(TrainingPlan)}
    for name in (
        "batch_size",
        "rate",
        "encoder_layers",
        "pool_hours",
        "builders",
        "seed",
        "save_every",
    ):
        default = defaults[name]
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    place = Place.from_environment()
    train(TrainingPlan(**vars(parser.parse_args())), place)
    if place.count > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
