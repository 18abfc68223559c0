"""From takes to what the encoder hears: mixing, rooms, noise, telephones and log-mel, on the
device.

Everything random about the sound of a window is drawn here, anew each time a take is used.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - its customary name
from torch import Tensor

from .mel import FFT, HOP, MELS, SAMPLE_RATE, mel_filters
from .windows import WINDOW, Batch

CLEAN_SHARE = 1 / 6  # of the windows
_PADDED = 1 << (WINDOW - 1).bit_length()  # a fast length for the transform, with room for an echo


class TakePool:
    """All takes end to end in device memory."""

    def __init__(self, hours: float, device: torch.device) -> None:
        self.samples = torch.zeros(
            int(hours * 3600 * SAMPLE_RATE), dtype=torch.int16, device=device
        )
        self.filled = 0

    def add(self, samples: npt.NDArray[np.int16]) -> int | None:
        """Where the samples now stand, or None if there is no room left for them."""
        begin, end = self.filled, self.filled + len(samples)
        if end > len(self.samples):
            return None
        self.samples[begin:end] = torch.from_numpy(samples).to(self.samples.device)
        self.filled = end
        return begin

    def mix(self, batch: Batch) -> Tensor:
        """The windows with their takes in place, clean: (windows, samples) in [-1, 1]."""
        device = self.samples.device
        placed = torch.from_numpy(batch.placed).to(device)
        played = torch.from_numpy(batch.played).to(device)
        windows = torch.zeros(len(batch.tokens) * WINDOW, device=device)
        row, start, length, offset = placed.unbind(1)
        owner = torch.repeat_interleave(torch.arange(len(placed), device=device), length)
        first = torch.cumsum(length, 0) - length
        step = torch.arange(len(owner), device=device) - first[owner]
        place = step.double() * played[owner, 0].double()
        whole = place.floor()
        between = (place - whole).float()
        source = offset[owner] + whole.long()
        sound = (
            self.samples[source].float() * (1 - between)
            + self.samples[source + 1].float() * between
        )
        windows[(row * WINDOW + start)[owner] + step] = sound * played[owner, 1] / 32_768
        return windows.view(-1, WINDOW)


class Acoustics:
    """Makes clean windows sound like recordings, and takes their log-mel features."""

    def __init__(self, device: torch.device, seed: int) -> None:
        self._device = device
        self._random = torch.Generator(device=device).manual_seed(seed)
        self._filters = torch.from_numpy(mel_filters()).to(device)
        self._hann = torch.hann_window(FFT, device=device)
        bins = _PADDED // 2 + 1
        self._hertz = torch.linspace(0, SAMPLE_RATE / 2, bins, device=device)

    def _uniform(self, rows: int, low: float = 0, high: float = 1) -> Tensor:
        drawn = torch.rand(rows, 1, device=self._device, generator=self._random)
        return low + (high - low) * drawn

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self._device, generator=self._random)

    def features(self, clean: Tensor) -> Tensor:
        """Noisy log-mel features of clean windows: (windows, mels, frames). Some windows stay
        clean, so that the model does not forget how plain speech sounds."""
        sound = self._in_room(clean)
        sound = sound + self._background(speechless=clean.abs().amax(1, keepdim=True) == 0)
        sound = self._by_telephone(sound)
        noisy = self._masked(self.log_mel(sound, coloured=True))
        stays_clean = self._uniform(len(clean)) < CLEAN_SHARE
        return torch.where(stays_clean[:, :, None], self.log_mel(clean), noisy)

    def log_mel(self, sound: Tensor, *, coloured: bool = False) -> Tensor:
        """Whisper's features, through a microphone of random colour if wanted."""
        spectrum = torch.stft(sound, FFT, HOP, window=self._hann, return_complex=True)[..., :-1]
        mel = self._filters @ spectrum.abs().square()
        if coloured:
            bends = F.interpolate(
                0.6 * self._normal(len(sound), 1, 6), size=MELS, mode="linear", align_corners=True
            )
            mel = self._warped(mel * torch.exp(bends[:, 0, :, None]))
        logs = mel.clamp(min=1e-10).log10()
        logs = torch.maximum(logs, logs.amax((1, 2), keepdim=True) - 8)
        return (logs + 4) / 4

    def _warped(self, mel: Tensor) -> Tensor:
        """Half of the windows with their spectrum stretched or squeezed: shorter or longer
        throats."""
        rows = len(mel)
        stretch = torch.where(self._uniform(rows) < 0.5, self._uniform(rows, 0.9, 1.12), 1.0)
        place = (torch.arange(MELS, device=self._device)[None] * stretch).clamp(max=MELS - 1)
        low = place.floor().clamp(max=MELS - 2)
        share = (place - low)[:, :, None]
        rows_of = low.long()[:, :, None].expand(-1, -1, mel.shape[2])
        return mel.gather(1, rows_of) * (1 - share) + mel.gather(1, rows_of + 1) * share

    def _in_room(self, sound: Tensor) -> Tensor:
        """Four windows in ten stand in a room: a decaying noise after the direct sound."""
        chosen = (self._uniform(len(sound))[:, 0] < 0.4).nonzero()[:, 0]
        if not len(chosen):
            return sound
        taps = int(0.4 * SAMPLE_RATE)
        seconds = torch.arange(taps, device=self._device) / SAMPLE_RATE
        decay = torch.exp(-6.9 * seconds / self._uniform(len(chosen), 0.1, 0.6))
        echo = self._normal(len(chosen), taps) * decay
        echo = (
            echo / echo.square().sum(1, keepdim=True).sqrt() * self._uniform(len(chosen), 0.1, 0.9)
        )
        echo[:, : int(0.002 * SAMPLE_RATE)] = 0
        echo[:, 0] = 1
        heard = torch.fft.rfft(sound[chosen], _PADDED) * torch.fft.rfft(echo, _PADDED)
        return sound.index_copy(0, chosen, torch.fft.irfft(heard, _PADDED)[:, :WINDOW])

    def _background(self, *, speechless: Tensor) -> Tensor:
        """Digital silence, steady or swelling noise of any colour, mains hum, or notes. It may be
        loud only where there is no speech to drown: what cannot be heard must not be taught."""
        rows = len(speechless)
        level = 10 ** ((self._uniform(rows, -75, -36) + 20 * speechless) / 20)
        level = level * (self._uniform(rows) > 0.2)
        noise = self._swelling(self._coloured_noise(rows)) * level
        hum = (self._uniform(rows) < 0.12).nonzero()[:, 0]
        if len(hum):
            noise[hum] = noise[hum] + self._hum(len(hum))
        notes = (self._uniform(rows) < 0.12).nonzero()[:, 0]
        if len(notes):
            noise[notes] = noise[notes] + self._notes(len(notes))
        return noise

    def _coloured_noise(self, rows: int) -> Tensor:
        """Noise of unit power with a spectrum that falls (or not) with frequency."""
        slope = self._uniform(rows, 0, 1.1) * (self._uniform(rows) > 0.35)
        shape = (self._hertz.clamp(min=40) / 40)[None] ** -slope
        noise = torch.fft.irfft(
            torch.fft.rfft(self._normal(rows, WINDOW), _PADDED) * shape, _PADDED
        )
        noise = noise[:, :WINDOW]
        return noise / noise.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)

    def _swelling(self, noise: Tensor) -> Tensor:
        """A third of the noises come and go."""
        rows = len(noise)
        points = int(torch.randint(3, 40, (1,)).item())
        curve = (
            torch.rand(rows, 1, points, device=self._device, generator=self._random).square() * 2
        )
        envelope = F.interpolate(curve, size=WINDOW, mode="linear", align_corners=True)[:, 0]
        return torch.where(self._uniform(rows) < 0.35, noise * envelope, noise)

    def _hum(self, rows: int) -> Tensor:
        """Mains hum: 50 or 60 Hz with harmonics."""
        seconds = torch.arange(WINDOW, device=self._device)[None] / SAMPLE_RATE
        mains = torch.where(self._uniform(rows) < 0.5, 50.0, 60.0)
        hum = torch.zeros(rows, WINDOW, device=self._device)
        for harmonic in (1, 2, 3, 5, 7):
            strength = self._uniform(rows) / harmonic
            hum = hum + strength * torch.sin(2 * math.pi * harmonic * mains * seconds)
        return hum * 10 ** (self._uniform(rows, -60, -20) / 20)

    def _notes(self, rows: int) -> Tensor:
        """Something like music: plucked or held notes with overtones, and lone tones."""
        time = torch.arange(WINDOW, device=self._device)[None] / SAMPLE_RATE
        music = torch.zeros(rows, WINDOW, device=self._device)
        for _ in range(14):
            pitch = 55 * 2 ** (torch.floor(self._uniform(rows, 0, 54)) / 12)
            begin, hold = self._uniform(rows, -4, 29), self._uniform(rows, 0.1, 6)
            since = time - begin
            loudness = torch.exp(-since.clamp(min=0) / hold) * (since > 0) * self._uniform(rows)
            phase = 2 * math.pi * pitch * time
            music = music + loudness * (
                torch.sin(phase) + 0.4 * torch.sin(2 * phase) + 0.2 * torch.sin(3 * phase)
            )
        return music * 10 ** (self._uniform(rows, -60, -30) / 20)

    def _by_telephone(self, sound: Tensor) -> Tensor:
        """One window in ten comes through a telephone: 300 to 3400 Hz and mu-law; some clip."""
        chosen = (self._uniform(len(sound))[:, 0] < 0.1).nonzero()[:, 0]
        if not len(chosen):
            return sound
        band = torch.sigmoid((self._hertz - 280) / 25) * torch.sigmoid((3450 - self._hertz) / 40)
        line = torch.fft.irfft(torch.fft.rfft(sound[chosen], _PADDED) * band, _PADDED)[:, :WINDOW]
        line = (line * 10 ** (self._uniform(len(chosen), 0, 12) / 20)).clamp(-1, 1)
        pressed = line.sign() * torch.log1p(255 * line.abs()) / math.log(256)
        pressed = (pressed * 127).round() / 127
        line = pressed.sign() * torch.expm1(pressed.abs() * math.log(256)) / 255
        return sound.index_copy(0, chosen, line)

    def _masked(self, features: Tensor) -> Tensor:
        """Two bands and two moments blanked out, so that nothing hangs on one detail."""
        rows, bands, frames = features.shape
        for size, widest, axis in (
            (bands, 10, 1),
            (frames, 25, 2),
            (bands, 10, 1),
            (frames, 25, 2),
        ):
            begin = self._uniform(rows, 0, size)[:, :, None]
            width = self._uniform(rows, 0, widest)[:, :, None]
            place = torch.arange(size, device=self._device)
            place = place[None, :, None] if axis == 1 else place[None, None, :]
            features = features.masked_fill((place >= begin) & (place < begin + width), 0)
        return features
