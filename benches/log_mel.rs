//! One second of sound to log-mel energies: ours beside a plan made anew for each window.
//!
//! `cargo bench --bench log_mel`. 98 columns of 40 bands, as the shipped spotter takes them.

use divan::{Bencher, black_box};
use lookhear::media::SAMPLE_RATE_HZ;
use lookhear::speech::{DEFAULT_FRONT_END, FeatureExtractor};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

fn main() {
    divan::main();
}

fn second_of_sound() -> Vec<f32> {
    (0..SAMPLE_RATE_HZ).map(|n| (n as f32 * 0.05).sin() * 0.3 + (n as f32 * 0.31).cos() * 0.1).collect()
}

#[divan::bench]
fn ours(bencher: Bencher) {
    let mut extractor = FeatureExtractor::new(&DEFAULT_FRONT_END).expect("the default fits itself");
    let sound = second_of_sound();
    bencher.bench_local(|| extractor.columns(black_box(&sound)));
}

/// The Fourier transforms alone, complex and planned for each window, as a first version is often written.
#[divan::bench]
fn complex_fft_planned_each_time(bencher: Bencher) {
    let sound = second_of_sound();
    let front_end = DEFAULT_FRONT_END;
    bencher.bench_local(|| {
        for window in black_box(&sound).windows(front_end.window_samples).step_by(front_end.step_samples) {
            let mut buffer: Vec<Complex<f32>> = window.iter().map(|sample| Complex::new(*sample, 0.0)).collect();
            buffer.resize(front_end.fft_size, Complex::default());
            FftPlanner::new().plan_fft_forward(front_end.fft_size).process(&mut buffer);
            black_box(&buffer);
        }
    });
}
