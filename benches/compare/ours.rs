//! Our side of `benches/compare/compare.py`, which starts it: `ours RESULT JOB ARGUMENTS…`.
//!
//! For each line on standard input, a number of calls, it makes them and prints how many seconds they took. What the job
//! gave is written to the file RESULT after the first line, for the others' results to be compared with.

use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use lookhear::media::{Reduction, Resizer, RgbView, rgb_from_jpeg};
use lookhear::model::{Element, ElementType, Engine, EngineOptions};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One call: does the job once, and leaves what it gives in the buffer.
type Job = Box<dyn FnMut(&mut Vec<u8>) -> Outcome<()>>;

/// Makes a job out of its arguments.
type Maker = fn(&[String]) -> Outcome<Job>;

const JOBS: [(&str, Maker); 3] = [("motion-jpeg", motion_jpeg), ("resize", resize), ("inference", inference)];

fn main() -> Outcome<()> {
    // `cargo bench` adds `--bench`, and starts this without a job when it runs all benchmarks.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [result_file, name, arguments @ ..] = &arguments[..] else {
        println!("This is one half of a comparison: run benches/compare/run.sh.");
        return Ok(());
    };
    let (_, make) = JOBS.iter().find(|(job, _)| job == name).ok_or_else(|| format!("there is no job {name}"))?;
    let (mut job, mut result, mut is_written) = (make(arguments)?, Vec::new(), false);
    for line in std::io::stdin().lock().lines() {
        let calls: u32 = line?.parse()?;
        let start = Instant::now();
        for _ in 0..calls {
            job(&mut result)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        if !is_written {
            std::fs::write(result_file, &result)?;
            is_written = true;
        }
        println!("{seconds}");
    }
    Ok(())
}

/// `FILE DIVISOR`: a JPEG frame to RGB, its sides divided by 1, 2, 4 or 8 while it is decoded.
fn motion_jpeg(arguments: &[String]) -> Outcome<Job> {
    let [file, divisor] = arguments else { return Err("motion-jpeg takes FILE DIVISOR".into()) };
    let reductions = [Reduction::Whole, Reduction::Half, Reduction::Quarter, Reduction::Eighth];
    let reduction = reductions.into_iter().find(|reduction| reduction.divisor().to_string() == *divisor);
    let (jpeg, reduction) = (std::fs::read(file)?, reduction.ok_or("the divisor is 1, 2, 4 or 8")?);
    Ok(Box::new(move |rgb| Ok(rgb_from_jpeg(&jpeg, reduction, rgb).map(drop)?)))
}

/// `FILE WIDTH HEIGHT WIDTH HEIGHT`: packed RGB of the first size to the second.
fn resize(arguments: &[String]) -> Outcome<Job> {
    let [file, sides @ ..] = arguments else { return Err("resize takes FILE WIDTH HEIGHT WIDTH HEIGHT".into()) };
    let sides: Vec<u32> = sides.iter().map(|side| side.parse()).collect::<Result<_, _>>()?;
    let [width, height, to_width, to_height] = sides[..] else { return Err("resize takes two sizes".into()) };
    let (pixels, mut resizer) = (std::fs::read(file)?, Resizer::default());
    Ok(Box::new(move |into| {
        into.resize(to_width as usize * to_height as usize * 3, 0);
        Ok(resizer.resize(RgbView { pixels: &pixels, width, height }, (to_width, to_height), into)?)
    }))
}

/// `MODEL THREADS INPUT OUTPUT`: a model over the bytes of a file, and a copy of the output of that number.
fn inference(arguments: &[String]) -> Outcome<Job> {
    let [model, threads, input, output] = arguments else {
        return Err("inference takes MODEL THREADS INPUT OUTPUT".into());
    };
    let output: usize = output.parse()?;
    let options = EngineOptions { threads: Some(threads.parse()?), accelerate: true };
    let mut engine = Engine::load(std::fs::read(model)?.into(), options)?;
    let input = std::fs::read(input)?;
    match engine.inputs()[0].element {
        ElementType::Float32 => fill(&mut engine, input.as_chunks().0, f32::from_ne_bytes)?,
        ElementType::Int8 => fill(&mut engine, input.as_chunks().0, i8::from_ne_bytes)?,
        _ => fill(&mut engine, input.as_chunks().0, u8::from_ne_bytes)?,
    }
    Ok(Box::new(move |result| {
        engine.invoke()?;
        match engine.outputs()[output].element {
            ElementType::Float32 => copy(engine.output(output)?, f32::to_ne_bytes, result),
            ElementType::Int8 => copy(engine.output(output)?, i8::to_ne_bytes, result),
            _ => copy(engine.output(output)?, u8::to_ne_bytes, result),
        }
        Ok(())
    }))
}

fn fill<T: Element, const BYTES: usize>(
    engine: &mut Engine,
    input: &[[u8; BYTES]],
    value: fn([u8; BYTES]) -> T,
) -> Outcome<()> {
    for (into, bytes) in engine.input_mut::<T>(0)?.iter_mut().zip(input) {
        *into = value(*bytes);
    }
    Ok(())
}

/// In whole values, so that it costs no more than the copy on the other side.
fn copy<T: Copy, const BYTES: usize>(values: &[T], bytes: impl Fn(T) -> [u8; BYTES], into: &mut Vec<u8>) {
    into.resize(values.len() * BYTES, 0);
    for (into, value) in into.as_chunks_mut().0.iter_mut().zip(values) {
        *into = bytes(*value);
    }
}
