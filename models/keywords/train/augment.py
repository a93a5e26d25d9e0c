"""What happens to a clip between the cache and the network, in training only."""

import numpy as np
import scipy.fft

from corpus import Pieces
from features import CLIP_SAMPLES, RATE_HZ

SPEED_SHARE, SPEED_RANGE = 0.5, (0.88, 1.14)
# A streaming window rarely has the word in its middle: most clips move as in Google's recipe, some to the window's edge.
SHIFT_MS, WIDE_SHIFT_MS, WIDE_SHIFT_SHARE = 100, 280, 0.3
# A word lasts from where a twentieth of the clip's energy is reached to where all but a twentieth is; of a cut one this
# share of its length is left, too little for a listener to name it.
WORD_ENERGY, CUT_LEAVES = (0.05, 0.95), (0.1, 0.4)
NOISE_SHARE, NOISE_SNR_DB = 0.8, (-2.0, 30.0)
BABBLE_SHARE, BABBLE_SNR_DB = 0.1, (5.0, 25.0)
# Quiet microphones and distant speakers; 0 dB leaves the clip as recorded.
GAIN_SHARE, GAIN_DB = 0.7, (-30.0, 0.0)
# The hiss of the microphone itself, relative to full scale: no live window is digitally silent.
HISS_SHARE, HISS_DB = 0.7, (-90.0, -55.0)
# Rooms: from a cupboard to a hall, and from a mouth at the microphone to one across the room.
ROOM_SHARE, ROOM_RT60_S, ROOM_DIRECT_DB = 0.35, (0.1, 0.8), (-3.0, 15.0)
# Cheap microphones and sound cards: no bass, no treble, a slope between them; and too much gain.
BAND_SHARE, BAND_LOW_HZ, BAND_HIGH_HZ, BAND_SLOPE_DB = 0.4, (20.0, 350.0), (2800.0, 9000.0), (-9.0, 9.0)
CLIP_SHARE, CLIP_OVERDRIVE_DB = 0.1, (2.0, 14.0)
# Long enough for a second and the tail of a room, so that nothing wraps around.
FILTER_SIZE = 32768
TIME_MASKS, TIME_MASK_FRAMES, BAND_MASKS, BAND_MASK_BANDS = 2, 10, 2, 5
COLOURED_SECONDS = 60


def amplitude(decibel):
    return 10.0 ** (decibel / 20.0)


def level(samples):
    """Root mean square."""
    return np.sqrt(np.mean(np.square(samples)) + 1e-12)


def coloured_noise(rng):
    """16-bit stationary noise whose spectrum falls by a random slope, from white to steeper than brown: fans, roads, rooms."""
    count = COLOURED_SECONDS * RATE_HZ
    hertz = np.maximum(np.fft.rfftfreq(count, 1.0 / RATE_HZ), 20.0)
    spectrum = np.fft.rfft(rng.standard_normal(count)) * hertz ** -rng.uniform(0.0, 1.3)
    noise = np.fft.irfft(spectrum, count)
    return (noise * (8000.0 / np.abs(noise).max())).astype(np.int16)


def shifted(clip, by):
    """The clip `by` samples later, or earlier if negative; the gap is silent."""
    moved = np.zeros_like(clip)
    if by >= 0:
        moved[by:] = clip[: CLIP_SAMPLES - by]
    else:
        moved[:by] = clip[-by:]
    return moved


def word_edges(clip):
    """First and last sample of the word in a clip, by its energy."""
    energy = np.cumsum(np.square(clip))
    return np.searchsorted(energy, np.array(WORD_ENERGY) * energy[-1])


class Augmenter:
    """Draws from one corpus and one random generator; the same generator state gives the same clip."""

    def __init__(self, corpus, rng):
        self.rng = rng
        self.spoken = corpus.spoken
        self.noise = Pieces(corpus.noise.arrays + [coloured_noise(rng) for _ in range(4)])
        self.white = rng.standard_normal(COLOURED_SECONDS * RATE_HZ, np.float32)

    def happens(self, share):
        return self.rng.random() < share

    def silence(self):
        """A second without speech: zeros in one of four cases, else noise at a random volume; hiss may lie on both."""
        if self.happens(0.25):
            return self._hiss(np.zeros(CLIP_SAMPLES, np.float32))
        volume = amplitude(self.rng.uniform(-50.0, 0.0))
        return self._hiss(self.noise.second(self.rng) * np.float32(volume))

    def speech(self, clip):
        """A spoken second at another speed, place and loudness, among other sounds."""
        reach_ms = WIDE_SHIFT_MS if self.happens(WIDE_SHIFT_SHARE) else SHIFT_MS
        reach = reach_ms * RATE_HZ // 1000
        return self._heard(shifted(self._at_some_speed(clip), int(self.rng.integers(-reach, reach + 1))))

    def cut_speech(self, clip):
        """A second at whose edge only the beginning or the end of the clip's word is left."""
        clip = self._at_some_speed(clip)
        begin, end = word_edges(clip)
        left = int(self.rng.uniform(*CUT_LEAVES) * (end - begin))
        return self._heard(shifted(clip, CLIP_SAMPLES - begin - left if self.happens(0.5) else left - end))

    def _heard(self, clip):
        """The clip among other sounds, at some loudness, through some microphone."""
        loudness = level(clip)
        if self.happens(NOISE_SHARE):
            clip = clip + self._interference(self.noise, loudness, NOISE_SNR_DB)
        if self.spoken and self.happens(BABBLE_SHARE):
            clip = clip + self._interference(self.spoken, loudness, BABBLE_SNR_DB)
        clip = self._through_room_and_microphone(clip)
        if self.happens(CLIP_SHARE):
            peak = np.float32(np.abs(clip).max() / amplitude(self.rng.uniform(*CLIP_OVERDRIVE_DB)))
            clip = np.clip(clip, -peak, peak)
        if self.happens(GAIN_SHARE):
            clip = clip * np.float32(amplitude(self.rng.uniform(*GAIN_DB)))
        return np.clip(self._hiss(clip), -1.0, 1.0)

    def _through_room_and_microphone(self, clip):
        """Some clips as a room and a cheap microphone would pass them on, at the loudness they had."""
        response = None
        if self.happens(ROOM_SHARE):
            response = self._room()
        if self.happens(BAND_SHARE):
            band = self._band()
            response = band if response is None else response * band
        if response is None:
            return clip
        passed = scipy.fft.irfft(scipy.fft.rfft(clip, FILTER_SIZE) * response, FILTER_SIZE)[:CLIP_SAMPLES]
        return passed * np.float32(level(clip) / level(passed))

    def _room(self):
        """Spectrum of a room: the direct sound, then noise that falls by 60 dB within its reverberation time."""
        decay_s = self.rng.uniform(*ROOM_RT60_S)
        tail = self._white(int(decay_s * RATE_HZ))
        tail = tail * np.exp(np.linspace(0.0, -np.log(1000.0), len(tail), dtype=np.float32))
        direct = amplitude(self.rng.uniform(*ROOM_DIRECT_DB)) * np.sqrt(np.square(tail).sum())
        tail[0] = direct
        return scipy.fft.rfft(tail, FILTER_SIZE)

    def _band(self):
        """Spectrum of a microphone: second-order edges, and a slope in decibels from 100 Hz to 8 kHz."""
        hertz = np.maximum(scipy.fft.rfftfreq(FILTER_SIZE, 1.0 / RATE_HZ), 1.0).astype(np.float32)
        low, high = self.rng.uniform(*BAND_LOW_HZ), self.rng.uniform(*BAND_HIGH_HZ)
        octaves = np.log2(hertz / 900.0) / np.log2(80.0)
        slope = amplitude(self.rng.uniform(*BAND_SLOPE_DB) * octaves)
        return (slope / np.sqrt(1.0 + (low / hertz) ** 4) / np.sqrt(1.0 + (hertz / high) ** 4)).astype(np.float32)

    def _white(self, count):
        start = self.rng.integers(0, len(self.white) - count)
        return self.white[start : start + count]

    def mask(self, log_mel):
        """SpecAugment: blots out short stretches of time and narrow bands with the clip's mean."""
        frames, bands = log_mel.shape
        blank = log_mel.mean()
        for _ in range(self.rng.integers(0, TIME_MASKS + 1)):
            width = self.rng.integers(0, TIME_MASK_FRAMES + 1)
            start = self.rng.integers(0, frames - width + 1)
            log_mel[start : start + width] = blank
        for _ in range(self.rng.integers(0, BAND_MASKS + 1)):
            width = self.rng.integers(0, BAND_MASK_BANDS + 1)
            start = self.rng.integers(0, bands - width + 1)
            log_mel[:, start : start + width] = blank
        return log_mel

    def _at_some_speed(self, clip):
        """Plays some clips faster or slower about their middle, as a tape would: pitch and formants move along."""
        if not self.happens(SPEED_SHARE):
            return clip
        middle = CLIP_SAMPLES / 2.0
        places = (np.arange(CLIP_SAMPLES) - middle) * self.rng.uniform(*SPEED_RANGE) + middle
        return np.interp(places, np.arange(CLIP_SAMPLES), clip, left=0.0, right=0.0).astype(np.float32)

    def _interference(self, pieces, loudness, snr_db):
        sound = pieces.second(self.rng)
        wanted = loudness / amplitude(self.rng.uniform(*snr_db))
        return sound * np.float32(wanted / level(sound))

    def _hiss(self, clip):
        if not self.happens(HISS_SHARE):
            return clip
        return clip + self._white(CLIP_SAMPLES) * np.float32(amplitude(self.rng.uniform(*HISS_DB)))
