//! Checks a model's bytes before the C library sees them, which can crash on hostile ones; and tells what they hold.
//!
//! Checked are the flatbuffer's structure, every index from one table into another, the sizes of tensors against their
//! data, and that every operator is one the runtime has. Not checked is what single operators demand of their inputs: a
//! model never seen before is therefore tried in a process of its own ([`super::trial`]).

use std::collections::BTreeMap;

use serde::Serialize;

use super::flatbuffer::{Damaged, Table, Vector};
use super::flexbuffer::Map;
use super::operators::{BUILTIN, CALLING, CUSTOM, KNOWN_CUSTOM, NOT_CHECKED, POST_PROCESS};
use super::tensor::{ElementType, Quantisation, TensorInfo};

/// The largest model that is read, in bytes: half of a Raspberry Pi 3's memory.
pub const LARGEST_MODEL_BYTES: u64 = 512 << 20;
/// The largest tensor, in bytes.
const LARGEST_TENSOR_BYTES: u64 = 256 << 20;
/// All tensors of a model together, in bytes, as if none shared its memory with another.
const LARGEST_MEMORY_BYTES: u64 = 4 << 30;
/// Dimensions of a tensor; the runtime's kernels take up to 6.
const MOST_DIMENSIONS: u64 = 8;
/// Buffers, tensors, operators and references to tensors, all together; a large detector has some 10,000. Tables may be
/// pointed to more than once, so a small file could otherwise make for a lot of work.
const MOST_PARTS: u64 = 1_000_000;
/// Subgraphs; more than one is rare.
const MOST_SUBGRAPHS: u64 = 256;
/// What is kept of a name or description, in bytes.
const LONGEST_NAME: usize = 1024;
/// Detections and classes of a post-processing operator.
const MOST_DETECTIONS: i64 = 65_536;
/// The version of the format.
const VERSION: u32 = 3;

/// What a checked model holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSummary {
    /// What the exporter wrote about it: "MLIR Converted."
    pub description: String,
    /// Its inputs.
    pub inputs: Vec<TensorInfo>,
    /// Its outputs, with shapes as far as the file tells them: those of a post-processing operator have none yet.
    pub outputs: Vec<TensorInfo>,
    /// How often each operator occurs, by name.
    pub operators: BTreeMap<String, usize>,
    /// Its `TFLite_Detection_PostProcess`, if it ends in one.
    pub post_process: Option<PostProcess>,
}

/// What a model's `TFLite_Detection_PostProcess` says of itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PostProcess {
    /// Classes without the background; `None` if it does not say.
    pub num_classes: Option<usize>,
    /// Detections a picture at most; `None` if it does not say.
    pub max_detections: Option<usize>,
    /// Which of the model's outputs are its boxes, classes, scores and count; `None` for one that is no output.
    pub outputs: [Option<usize>; 4],
}

/// Why bytes are no model that can be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// There are no bytes.
    #[error("it is empty; copy or export it again")]
    Empty,
    /// They are something else.
    #[error("it is {0}")]
    NoModel(&'static str),
    /// They are of another version of the format.
    #[error("its format has version {0}, and the runtime reads version 3; export it again")]
    Version(u32),
    /// They end too early, or point astray.
    #[error("it is damaged: {0} is not where it should be; copy or export it again")]
    Damaged(&'static str),
    /// Its parts contradict each other.
    #[error("it contradicts itself: {0}; export it again")]
    Contradiction(String),
    /// It is larger than what is sensible here.
    #[error("it is too large: {what} {found}, and the limit is {most}; take a smaller one")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: u64,
        /// How large it may be.
        most: u64,
    },
    /// It takes nothing in or gives nothing.
    #[error("it has no {0}, so there is nothing to run it for; take another")]
    Without(&'static str),
    /// It needs an operator that the runtime does not have.
    #[error("it needs the operator {0}, which the runtime does not have; export it with builtin operators only")]
    UnknownOperator(String),
    /// An input or output holds what cannot be fed or read.
    #[error("its {role} {name:?} holds {holds}; export it with inputs and outputs of float32, uint8 or int8")]
    Element {
        /// "input" or "output".
        role: &'static str,
        /// The tensor's name.
        name: String,
        /// What it holds.
        holds: &'static str,
    },
}

impl From<Damaged> for CheckError {
    fn from(Damaged(what): Damaged) -> Self {
        Self::Damaged(what)
    }
}

/// Checks `bytes`, which may come from anywhere.
///
/// Takes time and memory in proportion to the number of tables in the file, and no more.
///
/// # Errors
/// [`CheckError`]: what is wrong with them.
pub fn check(bytes: &[u8]) -> Result<ModelSummary, CheckError> {
    if bytes.is_empty() {
        return Err(CheckError::Empty);
    }
    within("the file has bytes:", bytes.len() as u64, LARGEST_MODEL_BYTES)?;
    if bytes.get(4..8) != Some(b"TFL3") {
        return Err(CheckError::NoModel(looks_like(bytes)));
    }
    let model = Table::root(bytes, "the model's table")?;
    let version = model.u32(0)?;
    if version != VERSION {
        return Err(CheckError::Version(version));
    }
    let mut checker =
        Checker { file: bytes, parts: 0, memory: 0, buffers: vec![], kinds: vec![], counts: BTreeMap::new() };
    checker.buffers(model.vector(4, "the list of buffers")?)?;
    checker.kinds(model.vector(1, "the list of kinds of operators")?)?;
    let subgraphs = model.vector::<4>(2, "the list of subgraphs")?;
    within("the number of subgraphs is", subgraphs.len() as u64, MOST_SUBGRAPHS)?;
    let graphs = subgraphs.tables().map(|subgraph| checker.subgraph(&subgraph?)).collect::<Result<Vec<_>, _>>()?;
    refuse_circles(&graphs)?;
    checker.metadata(&model, &graphs)?;
    let Some(main) = graphs.into_iter().next() else {
        return Err(CheckError::Contradiction("it has no subgraph".to_owned()));
    };
    let inputs = main.described("input", &main.inputs)?;
    let outputs = main.described("output", &main.outputs)?;
    let description = short(model.bytes(3, "the description")?);
    let post_process = main.post_process.map(|(mut found, own_outputs)| {
        found.outputs = own_outputs.map(|tensor| main.outputs.iter().position(|output| *output == tensor));
        found
    });
    Ok(ModelSummary { description, inputs, outputs, operators: checker.counts, post_process })
}

/// The start of a text, as far as it is kept; what is not UTF-8 in it is replaced.
fn short(text: Option<&[u8]>) -> String {
    let text = text.unwrap_or_default();
    String::from_utf8_lossy(&text[..text.len().min(LONGEST_NAME)]).into_owned()
}

fn within(what: &'static str, found: u64, most: u64) -> Result<(), CheckError> {
    if found > most { Err(CheckError::TooLarge { what, found, most }) } else { Ok(()) }
}

/// What bytes that are no model are most likely, and what to do about it.
fn looks_like(bytes: &[u8]) -> &'static str {
    let start = bytes.trim_ascii_start();
    let starts = |what: &[u8]| start.len() >= what.len() && start[..what.len()].eq_ignore_ascii_case(what);
    if starts(b"version https://git-lfs") {
        "a Git LFS pointer, not the model itself; run `git lfs pull` where it came from"
    } else if starts(b"<!doctype") || starts(b"<html") || starts(b"<?xml") {
        "a web page, not a model; the download went wrong, so fetch the file itself"
    } else if starts(b"PK\x03\x04") {
        "a ZIP archive, not a model; unpack it, and name the model inside"
    } else {
        "no TensorFlow Lite model (their bytes 4 to 7 are TFL3); export one as TF Lite"
    }
}

fn inside(file: &[u8], offset: u64, size: u64, what: &'static str) -> Result<(), CheckError> {
    let fits = offset.checked_add(size).is_some_and(|end| end <= file.len() as u64);
    if fits { Ok(()) } else { Err(CheckError::Damaged(what)) }
}

/// A checked subgraph.
struct Subgraph<'a> {
    tensors: Vec<Tensor<'a>>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    /// The subgraphs that its operators run, each once.
    calls: Vec<usize>,
    post_process: Option<(PostProcess, [usize; 4])>,
}

struct Tensor<'a> {
    table: Table<'a>,
    shape: Vec<usize>,
    quantisation: Option<Quantisation>,
    /// Whether it has a value at this point of the walk through the operators: kernels read and write what they are given
    /// without asking.
    has_value: bool,
    /// Whether nobody may write it any more.
    is_final: bool,
}

impl Subgraph<'_> {
    fn described(&self, role: &'static str, tensors: &[usize]) -> Result<Vec<TensorInfo>, CheckError> {
        if tensors.is_empty() {
            return Err(CheckError::Without(role));
        }
        let describe = |index: &usize| {
            let Tensor { table, shape, quantisation, .. } = &self.tensors[*index];
            let name = short(table.bytes(3, "a tensor's name")?);
            let (holds, element, _) = element_type(table.u8(1)?)?;
            let Some(element) = element else { return Err(CheckError::Element { role, name, holds }) };
            Ok(TensorInfo { name, shape: shape.clone(), element, quantisation: *quantisation })
        };
        tensors.iter().map(describe).collect()
    }
}

/// The schema's name of an element type, what it is to us, and the bits of an element (0 if that is not fixed).
fn element_type(number: u8) -> Result<(&'static str, Option<ElementType>, u64), CheckError> {
    Ok(match number {
        0 => ("float32", Some(ElementType::Float32), 32),
        1 => ("float16", None, 16),
        2 => ("int32", Some(ElementType::Int32), 32),
        3 => ("uint8", Some(ElementType::Uint8), 8),
        4 => ("int64", Some(ElementType::Int64), 64),
        5 => ("text", None, 0),
        6 => ("bool", None, 8),
        7 => ("int16", Some(ElementType::Int16), 16),
        8 => ("complex64", None, 64),
        9 => ("int8", Some(ElementType::Int8), 8),
        10 => ("float64", None, 64),
        11 => ("complex128", None, 128),
        12 => ("uint64", None, 64),
        13 => ("a resource", None, 0),
        14 => ("a variant", None, 0),
        15 => ("uint32", None, 32),
        16 => ("uint16", None, 16),
        17 => ("int4", None, 4),
        18 => ("bfloat16", None, 16),
        number => return Err(CheckError::Contradiction(format!("a tensor has the unknown element type {number}"))),
    })
}

/// What is known of a file while it is checked.
struct Checker<'a> {
    file: &'a [u8],
    /// How many parts were visited, each time anew.
    parts: u64,
    /// Bytes of all tensors so far.
    memory: u64,
    /// The size of each buffer's data in bytes.
    buffers: Vec<u64>,
    /// The name of each kind of operator the model uses; all are known to the runtime.
    kinds: Vec<String>,
    /// How often each occurs.
    counts: BTreeMap<String, usize>,
}

impl<'a> Checker<'a> {
    fn visit(&mut self, parts: usize) -> Result<(), CheckError> {
        self.parts += parts as u64;
        within("the number of its parts is", self.parts, MOST_PARTS)
    }

    fn buffers(&mut self, buffers: Vector<'_, 4>) -> Result<(), CheckError> {
        self.visit(buffers.len())?;
        for buffer in buffers.tables() {
            let buffer = buffer?;
            // Models over 2 GiB keep data behind the flatbuffer, by its place in the file; 0 and 1 mean that it is not there.
            let (offset, size) = (buffer.u64(1)?, buffer.u64(2)?);
            if offset > 1 {
                inside(self.file, offset, size, "a buffer's data")?;
                self.buffers.push(size);
            } else {
                let data = buffer.bytes(0, "a buffer's data")?;
                self.buffers.push(data.map_or(0, |data| data.len() as u64));
            }
        }
        Ok(())
    }

    fn kinds(&mut self, codes: Vector<'_, 4>) -> Result<(), CheckError> {
        self.visit(codes.len())?;
        for code in codes.tables() {
            let code = code?;
            // The number once had one byte; the larger of the two is the true one.
            let number = i32::from(code.u8(0)?.cast_signed()).max(code.i32(3)?);
            let name = if number == CUSTOM {
                let name = short(code.bytes(1, "a custom operator's name")?);
                KNOWN_CUSTOM.contains(&name.as_str()).then_some(name.clone()).ok_or(name)
            } else {
                let name = usize::try_from(number).ok().and_then(|number| BUILTIN.get(number));
                let known = name.filter(|name| !NOT_CHECKED.contains(name)).map(|name| (*name).to_owned());
                known.ok_or_else(|| name.map_or_else(|| format!("number {number}"), |name| (*name).to_owned()))
            };
            self.kinds.push(name.map_err(CheckError::UnknownOperator)?);
        }
        Ok(())
    }

    fn subgraph(&mut self, subgraph: &Table<'a>) -> Result<Subgraph<'a>, CheckError> {
        let tables = subgraph.vector::<4>(0, "the list of tensors")?;
        self.visit(tables.len())?;
        let tensors = tables.tables().map(|table| self.tensor(table?)).collect::<Result<Vec<_>, _>>()?;
        let inputs = self.tensors_of(subgraph, 1, tensors.len())?;
        let outputs = self.tensors_of(subgraph, 2, tensors.len())?;
        let mut graph = Subgraph { tensors, inputs, outputs, calls: Vec::new(), post_process: None };
        for &input in &graph.inputs {
            (graph.tensors[input].has_value, graph.tensors[input].is_final) = (true, true);
        }
        let operators = subgraph.vector::<4>(3, "the list of operators")?;
        self.visit(operators.len())?;
        for operator in operators.tables() {
            self.operator(&operator?, &mut graph)?;
        }
        if graph.outputs.iter().any(|output| !graph.tensors[*output].has_value) {
            return Err(CheckError::Contradiction("nothing writes an output".to_owned()));
        }
        graph.calls.sort_unstable();
        graph.calls.dedup();
        Ok(graph)
    }

    /// The tensors that field `id` of `table` refers to; all exist.
    fn tensors_of(&mut self, table: &Table<'_>, id: usize, tensors: usize) -> Result<Vec<usize>, CheckError> {
        let vector = table.vector::<4>(id, "a list of tensors")?;
        self.visit(vector.len())?;
        let existing = |index: i32| usize::try_from(index).ok().filter(|index| *index < tensors);
        vector.i32s().map(|index| existing(index).ok_or_else(|| astray("a tensor"))).collect()
    }

    fn operator(&mut self, operator: &Table<'a>, graph: &mut Subgraph<'a>) -> Result<(), CheckError> {
        let kind = operator.u32(0)? as usize;
        let name = self.kinds.get(kind).cloned().ok_or_else(|| astray("an operator's kind"))?;
        let outputs = self.tensors_of(operator, 2, graph.tensors.len())?;
        for field in [1, 8] {
            let vector = operator.vector::<4>(field, "an operator's tensors")?;
            self.visit(vector.len())?;
            // An input that is left out is −1; an output never is.
            if vector.i32s().any(|index| index < -1 || (index >= 0 && index as usize >= graph.tensors.len())) {
                return Err(astray("an operator's tensor"));
            }
            let unwritten = |index: i32| index >= 0 && !graph.tensors[index as usize].has_value;
            if field == 1 && vector.i32s().any(unwritten) {
                return Err(CheckError::Contradiction(format!("{name} reads a tensor that nothing has written")));
            }
        }
        // XNNPACK takes the data of the one and the shape of the other.
        if name == "DEQUANTIZE" {
            let first = operator.vector::<4>(1, "an operator's tensors")?.i32s().next();
            let input = first.and_then(|index| graph.tensors.get(usize::try_from(index).ok()?));
            let output = outputs.first().map(|output| &graph.tensors[*output]);
            if input.map(|tensor| &tensor.shape) != output.map(|tensor| &tensor.shape) {
                return Err(CheckError::Contradiction(format!("{name} changes the shape of a tensor")));
            }
        }
        for &output in &outputs {
            let tensor = &mut graph.tensors[output];
            tensor.has_value = true;
            if std::mem::replace(&mut tensor.is_final, true) {
                return Err(CheckError::Contradiction(format!("{name} writes a tensor that has a value already")));
            }
        }
        let options = operator.table(4, "an operator's options")?;
        operator.table(12, "an operator's options")?;
        operator.bytes(7, "an operator's list of variables")?;
        let custom_options = operator.bytes(5, "an operator's custom options")?;
        if operator.u64(9)? > 1 {
            inside(self.file, operator.u64(9)?, operator.u64(10)?, "an operator's custom options")?;
        }
        if CALLING.contains(&name.as_str()) {
            let Some(options) = options else { return Err(astray("a subgraph that an operator runs")) };
            let fields = if name == "CALL" || name == "CALL_ONCE" { 0..1 } else { 0..2 };
            for field in fields {
                graph.calls.push(options.u32(field)? as usize);
            }
        }
        if KNOWN_CUSTOM.contains(&name.as_str()) {
            // The C library reads these without a check of its own.
            let options = custom_options.and_then(Map::new);
            let options = options.ok_or(CheckError::Damaged("a custom operator's options"))?;
            if name == POST_PROCESS {
                graph.post_process = Some(check_post_process(options, outputs)?);
            }
        }
        *self.counts.entry(name).or_insert(0) += 1;
        Ok(())
    }

    fn tensor(&mut self, table: Table<'a>) -> Result<Tensor<'a>, CheckError> {
        let dimensions = table.vector::<4>(0, "a tensor's shape")?;
        within("the dimensions of a tensor are", dimensions.len() as u64, MOST_DIMENSIONS)?;
        let side = |side: i32| {
            let wrong = |_| CheckError::Contradiction(format!("a tensor has a side of {side}"));
            usize::try_from(side).map_err(wrong)
        };
        let shape = dimensions.i32s().map(side).collect::<Result<Vec<_>, _>>()?;
        let (_, _, element_bits) = element_type(table.u8(1)?)?;
        let elements = shape.iter().fold(1_u64, |product, side| product.saturating_mul(*side as u64));
        let bytes = elements.saturating_mul(element_bits).div_ceil(8);
        within("the bytes of a tensor are", bytes, LARGEST_TENSOR_BYTES)?;
        self.memory = self.memory.saturating_add(bytes);
        within("the bytes of all tensors are", self.memory, LARGEST_MEMORY_BYTES)?;
        let data = *self.buffers.get(table.u32(2)? as usize).ok_or_else(|| astray("a tensor's buffer"))?;
        let sparse = table.table(6, "a tensor's sparsity")?.is_some();
        if data > 0 && element_bits > 0 && !sparse && data != bytes {
            return Err(CheckError::Contradiction(format!("a tensor of {bytes} bytes has {data} bytes of data")));
        }
        let quantisation = check_quantisation(&table, &shape)?;
        // What has no size, and what keeps its value from run to run, needs nobody to write it.
        let is_variable = table.u8(5)? != 0;
        let (has_value, is_final) = (data > 0 || bytes == 0 || is_variable, data > 0);
        Ok(Tensor { table, shape, quantisation, has_value, is_final })
    }

    /// Entries of the model's metadata and signatures point to buffers, subgraphs and tensors that exist.
    fn metadata(&mut self, model: &Table<'_>, graphs: &[Subgraph<'_>]) -> Result<(), CheckError> {
        let entries = model.vector::<4>(6, "the list of metadata")?;
        self.visit(entries.len())?;
        for entry in entries.tables() {
            let entry = entry?;
            entry.bytes(0, "a metadata's name")?;
            if entry.u32(1)? as usize >= self.buffers.len() {
                return Err(astray("a metadata's buffer"));
            }
        }
        let signatures = model.vector::<4>(7, "the list of signatures")?;
        self.visit(signatures.len())?;
        for signature in signatures.tables() {
            let signature = signature?;
            let graph = graphs.get(signature.u32(4)? as usize).ok_or_else(|| astray("a signature's subgraph"))?;
            for field in [0, 1] {
                let entries = signature.vector::<4>(field, "a signature's tensors")?;
                self.visit(entries.len())?;
                for entry in entries.tables() {
                    let entry = entry?;
                    entry.bytes(0, "a signature's name")?;
                    if entry.u32(1)? as usize >= graph.tensors.len() {
                        return Err(astray("a signature's tensor"));
                    }
                }
            }
        }
        Ok(())
    }
}

fn astray(what: &str) -> CheckError {
    CheckError::Contradiction(format!("{what} has a number that does not exist"))
}

fn check_post_process(options: Map<'_>, outputs: Vec<usize>) -> Result<(PostProcess, [usize; 4]), CheckError> {
    let number = |key: &str| match options.integer(key) {
        None => Ok(None),
        Some(value @ 1..=MOST_DETECTIONS) => Ok(usize::try_from(value).ok()),
        Some(value) => Err(CheckError::Contradiction(format!("its post-processing has {key} = {value}"))),
    };
    let (num_classes, max_detections) = (number("num_classes")?, number("max_detections")?);
    number("max_classes_per_detection")?;
    number("detections_per_class")?;
    let outputs = <[usize; 4]>::try_from(outputs)
        .map_err(|_| CheckError::Contradiction("its post-processing does not have 4 outputs".to_owned()))?;
    Ok((PostProcess { num_classes, max_detections, outputs: [None; 4] }, outputs))
}

/// One scale and zero point for the whole tensor, or as many as its quantised dimension is long.
fn check_quantisation(tensor: &Table<'_>, shape: &[usize]) -> Result<Option<Quantisation>, CheckError> {
    let Some(table) = tensor.table(4, "a tensor's quantisation")? else { return Ok(None) };
    let scales = table.vector::<4>(2, "a tensor's scales")?;
    let zero_points = table.vector::<8>(3, "a tensor's zero points")?;
    if scales.len() == 0 {
        return Ok(None);
    }
    let channels = usize::try_from(table.i32(6)?).ok().and_then(|dimension| shape.get(dimension)).copied();
    if zero_points.len() != scales.len() || (scales.len() > 1 && channels != Some(scales.len())) {
        let (scales, zeros) = (scales.len(), zero_points.len());
        return Err(CheckError::Contradiction(format!("a tensor has {scales} scales and {zeros} zero points")));
    }
    let (scale, zero_point) = (scales.f32s().next().unwrap_or(0.0), zero_points.i64s().next().unwrap_or(0));
    let Ok(zero_point) = i32::try_from(zero_point) else {
        return Err(CheckError::Contradiction(format!("a tensor's zero point is {zero_point}")));
    };
    Ok((scale != 0.0 && scales.len() == 1).then_some(Quantisation { scale, zero_point }))
}

/// Subgraphs that run each other in a circle would never end; the runtime would follow them until its stack is full.
fn refuse_circles(graphs: &[Subgraph<'_>]) -> Result<(), CheckError> {
    let callers = |index: usize| graphs.iter().filter(move |graph| graph.calls.contains(&index)).count();
    if graphs.iter().flat_map(|graph| &graph.calls).any(|call| *call >= graphs.len()) {
        return Err(astray("a subgraph that an operator runs"));
    }
    // Kahn's way: take away what nobody (any more) runs, until nothing is left.
    let mut waiting: Vec<usize> = (0..graphs.len()).map(callers).collect();
    let mut free: Vec<usize> = (0..graphs.len()).filter(|index| waiting[*index] == 0).collect();
    let mut taken = 0;
    while let Some(index) = free.pop() {
        taken += 1;
        for &call in &graphs[index].calls {
            waiting[call] -= 1;
            if waiting[call] == 0 {
                free.push(call);
            }
        }
    }
    if taken == graphs.len() {
        Ok(())
    } else {
        Err(CheckError::Contradiction("its subgraphs run each other in a circle".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_is_named() {
        let check_error = |bytes: &[u8]| check(bytes).expect_err("no model").to_string();
        assert_eq!(check_error(b""), "it is empty; copy or export it again");
        assert!(check_error(b"version https://git-lfs.github.com/spec/v1\noid sha256:0").contains("Git LFS pointer"));
        assert!(check_error(b"\n <!DOCTYPE html><html>").contains("web page"));
        assert!(check_error(b"PK\x03\x04").contains("ZIP"));
        assert!(check_error(b"hello").contains("no TensorFlow Lite model"));
        assert!(check_error(b"\x18\0\0\0TFL3").contains("damaged: the model's table"));
    }

    #[test]
    fn subgraphs_in_a_circle_are_refused() {
        let graph = |calls: &[usize]| Subgraph {
            tensors: vec![],
            inputs: vec![],
            outputs: vec![],
            calls: calls.to_vec(),
            post_process: None,
        };
        let check = |calls: &[&[usize]]| refuse_circles(&calls.iter().map(|calls| graph(calls)).collect::<Vec<_>>());
        assert_eq!(check(&[&[1, 2], &[2], &[]]), Ok(()));
        assert!(check(&[&[1], &[0]]).is_err());
        assert!(check(&[&[], &[1]]).is_err());
        assert!(check(&[&[1]]).expect_err("no such subgraph").to_string().contains("does not exist"));
    }
}
