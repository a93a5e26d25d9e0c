//! The engine: the one place that calls TensorFlow Lite's C library.
//!
//! `tflitec` finds and links the library; the functions are declared here, because that crate lacks error texts, input
//! without a copy, and cannot load every model without a panic. The library's texts come back in our errors or go to
//! our log, never to the terminal.
//!
//! - **allocates**: in [`Engine::load`]; nothing in [`Engine::input_mut`], [`Engine::invoke`] and [`Engine::output`]
//! - **threads**: the library's own, [`Engine::threads`] of them, alive as long as the engine
//!
//! The library never sees bytes that [`check`] refuses: it can crash on them.
#![allow(unsafe_code, reason = "the C library; nothing unsafe leaves this file")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
// Linked for its build script, which names the library to the linker.
use tflitec as _;

use super::check::check;
use super::engine_error::EngineError;
use super::quiet::with_quiet_library;
use super::tensor::{Element, ElementType, Quantisation, TensorInfo};

/// How a model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Threads of one inference, 1…64; `None` is one less than there are cores, and at least one: the kernels wait for
    /// each other, so one that shares its core with somebody else holds up all.
    pub threads: Option<usize>,
    /// Whether XNNPACK's kernels are used, where the library has them.
    pub accelerate: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { threads: None, accelerate: true }
    }
}

/// More threads than any machine this is for has cores.
const MOST_THREADS: usize = 64;

impl EngineOptions {
    fn thread_count(self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(|| cores() - 1).clamp(1, MOST_THREADS)
    }
}

/// Whose kernels run a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Delegate {
    /// XNNPACK's, for all operators it knows.
    Xnnpack,
    /// TensorFlow Lite's own.
    None,
}

impl fmt::Display for Delegate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xnnpack => "XNNPACK",
            Self::None => "the plain kernels",
        })
    }
}

/// A loaded model, with its inputs, outputs, and the threads that run it.
///
/// It can move to another thread, and is used by one at a time.
#[derive(Debug)]
pub struct Engine {
    // Dropped from the top: the interpreter uses all that follows.
    interpreter: Interpreter,
    delegate: Option<xnnpack::Handle>,
    _model: Model,
    messages: Arc<Messages>,
    _bytes: Arc<[u8]>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    threads: usize,
    has_run: bool,
}

// SAFETY: nothing in the library's interpreter, model or delegate is bound to the thread that made it; its own threads are
// reached through locks of its own. All pointers are owned by this struct, so they move together.
unsafe impl Send for Engine {}

impl Engine {
    /// Checks and loads a model, and reserves all the memory it needs.
    ///
    /// Where XNNPACK cannot be created (it wants `/sys`), the plain kernels are used and a warning is logged.
    ///
    /// # Errors
    /// [`EngineError::Check`], [`EngineError::Refused`], [`EngineError::Without`], [`EngineError::Tensor`].
    pub fn load(model: Arc<[u8]>, options: EngineOptions) -> Result<Self, EngineError> {
        check(&model)?;
        let messages = Arc::<Messages>::default();
        let built = with_quiet_library(|| build(&model, options, &messages));
        let (parsed, delegate, interpreter) = built?;
        let inputs = interpreter.tensors(Role::Input, &model)?;
        let outputs = interpreter.tensors(Role::Output, &model)?;
        let threads = options.thread_count();
        let mut engine = Self {
            interpreter,
            delegate,
            _model: parsed,
            messages,
            _bytes: model,
            inputs,
            outputs,
            threads,
            has_run: false,
        };
        engine.clear_inputs()?;
        Ok(engine)
    }

    /// The inputs, in the model's order.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// The outputs, in the model's order.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Whose kernels run it.
    pub fn delegate(&self) -> Delegate {
        if self.delegate.is_some() { Delegate::Xnnpack } else { Delegate::None }
    }

    /// How many threads run it.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The elements of input `index`, to be written; row-major. They are undefined after [`Engine::invoke`].
    ///
    /// # Errors
    /// [`EngineError::Index`] or [`EngineError::Type`] if there is no such input.
    pub fn input_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], EngineError> {
        let (data, length) = self.data::<T>(Role::Input, index)?;
        // SAFETY: `data` points to `length` elements of type `T` (see `Engine::data`) of memory that the interpreter
        // owns and that is not part of the model's bytes (`Interpreter::tensors`). The borrow of `self` keeps the
        // interpreter from running, and anybody else from getting at the same memory, as long as the slice lives.
        Ok(unsafe { std::slice::from_raw_parts_mut(data.as_ptr(), length) })
    }

    /// Runs the model on what the inputs hold.
    ///
    /// # Errors
    /// [`EngineError::Failed`] with the library's words.
    pub fn invoke(&mut self) -> Result<(), EngineError> {
        // SAFETY: the interpreter is alive, and its tensors are allocated: `load` does not return it otherwise.
        let status = unsafe { TfLiteInterpreterInvoke(self.interpreter.0.as_ptr()) };
        if status != OK {
            return Err(EngineError::Failed { reason: self.messages.take() });
        }
        self.has_run = true;
        Ok(())
    }

    /// The elements of output `index` of the last run; row-major.
    ///
    /// # Errors
    /// [`EngineError::NotRun`] before the first [`Engine::invoke`]; [`EngineError::Index`] or [`EngineError::Type`] if
    /// there is no such output; [`EngineError::Tensor`] if the run gave it another size.
    pub fn output<T: Element>(&self, index: usize) -> Result<&[T], EngineError> {
        if !self.has_run {
            return Err(EngineError::NotRun);
        }
        let (data, length) = self.data::<T>(Role::Output, index)?;
        // SAFETY: `data` points to `length` elements of type `T` (see `Engine::data`) of memory that the interpreter or
        // the model's bytes own; neither changes while `self` is borrowed. Any bytes are a valid `T`.
        Ok(unsafe { std::slice::from_raw_parts(data.as_ptr(), length) })
    }

    /// Where the elements of a tensor are at present, and how many.
    fn data<T: Element>(&self, role: Role, index: usize) -> Result<(NonNull<T>, usize), EngineError> {
        let infos = if role == Role::Input { &self.inputs } else { &self.outputs };
        let role_name = role.name();
        let Some(info) = infos.get(index) else {
            return Err(EngineError::Index { role: role_name, index, found: infos.len() });
        };
        if info.element != T::TYPE {
            let (found, asked) = (info.element, T::TYPE);
            return Err(EngineError::Type { role: role_name, name: info.name.clone(), found, asked });
        }
        let wrong = |reason| EngineError::Tensor { role: role_name, name: info.name.clone(), reason };
        let tensor = self.interpreter.tensor(role, index).ok_or_else(|| wrong("is gone"))?;
        // A kernel may give an output another size while it runs, so the memory is asked for each time.
        let data = tensor.data::<T>().ok_or_else(|| wrong("has no memory for its elements"))?;
        let length = info.len();
        if tensor.bytes() != length * size_of::<T>() {
            return Err(wrong("has another size after a run"));
        }
        Ok((data, length))
    }

    /// Fills the inputs with zeros, so that no memory of the library is read before it is written.
    fn clear_inputs(&mut self) -> Result<(), EngineError> {
        for index in 0..self.inputs.len() {
            match self.inputs[index].element {
                ElementType::Float32 => self.input_mut::<f32>(index)?.fill(0.0),
                ElementType::Uint8 => self.input_mut::<u8>(index)?.fill(0),
                ElementType::Int8 => self.input_mut::<i8>(index)?.fill(0),
                ElementType::Int16 => self.input_mut::<i16>(index)?.fill(0),
                ElementType::Int32 => self.input_mut::<i32>(index)?.fill(0),
                ElementType::Int64 => self.input_mut::<i64>(index)?.fill(0),
            }
        }
        Ok(())
    }
}

/// The version of the library: "2.17.1".
pub fn runtime_version() -> String {
    // SAFETY: the library returns a string that lives as long as the program.
    unsafe { CStr::from_ptr(TfLiteVersion()) }.to_string_lossy().into_owned()
}

/// Makes the parts of an engine, with XNNPACK if that is wanted and can be had.
fn build(
    bytes: &Arc<[u8]>,
    options: EngineOptions,
    messages: &Messages,
) -> Result<(Model, Option<xnnpack::Handle>, Interpreter), EngineError> {
    let model = Model::new(bytes, messages)?;
    let threads = options.thread_count();
    if options.accelerate && xnnpack::EXISTS {
        if let Some(delegate) = xnnpack::Handle::new(threads) {
            match Interpreter::new(&model, threads, Some(&delegate), messages) {
                Ok(interpreter) => return Ok((model, Some(delegate), interpreter)),
                Err(error) => tracing::warn!(%error, "XNNPACK does not take the model; the plain kernels do"),
            }
        } else {
            tracing::warn!("XNNPACK cannot be started here (it needs /sys); the slower plain kernels are used");
        }
    }
    let interpreter = Interpreter::new(&model, threads, None, messages)?;
    Ok((model, None, interpreter))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Input,
    Output,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// Owns the library's view of the model's bytes, which must outlive it.
#[derive(Debug)]
struct Model(NonNull<c_void>);

impl Model {
    fn new(bytes: &Arc<[u8]>, messages: &Messages) -> Result<Self, EngineError> {
        // SAFETY: the bytes and the messages outlive the model: `Engine` drops it before them, and until then the
        // caller of `build` holds both. The reporter's type is what the library expects.
        let model = unsafe {
            TfLiteModelCreateWithErrorReporter(
                bytes.as_ptr().cast(),
                bytes.len(),
                Some(report),
                messages.as_user_data(),
            )
        };
        NonNull::new(model).map(Self).ok_or_else(|| EngineError::Refused { reason: messages.take() })
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: made by the library, owned here, dropped once, after the interpreter that uses it.
        unsafe { TfLiteModelDelete(self.0.as_ptr()) }
    }
}

/// Owns an interpreter, which must not outlive its model, delegate and messages.
#[derive(Debug)]
struct Interpreter(NonNull<c_void>);

impl Interpreter {
    fn new(
        model: &Model,
        threads: usize,
        delegate: Option<&xnnpack::Handle>,
        messages: &Messages,
    ) -> Result<Self, EngineError> {
        let refused = || EngineError::Refused { reason: messages.take() };
        // SAFETY: every pointer given is alive: the options until they are deleted below (the library copies what it
        // needs), model, delegate and messages by the order of the fields in `Engine`. The thread count fits: it is at
        // most `MOST_THREADS`.
        let interpreter = unsafe {
            let options = NonNull::new(TfLiteInterpreterOptionsCreate()).ok_or_else(refused)?.as_ptr();
            TfLiteInterpreterOptionsSetNumThreads(options, threads as i32);
            TfLiteInterpreterOptionsSetErrorReporter(options, Some(report), messages.as_user_data());
            if let Some(delegate) = delegate {
                TfLiteInterpreterOptionsAddDelegate(options, delegate.as_ptr());
            }
            let interpreter = TfLiteInterpreterCreate(model.0.as_ptr(), options);
            TfLiteInterpreterOptionsDelete(options);
            interpreter
        };
        let interpreter = Self(NonNull::new(interpreter).ok_or_else(refused)?);
        // SAFETY: the interpreter was just made.
        let status = unsafe { TfLiteInterpreterAllocateTensors(interpreter.0.as_ptr()) };
        if status == OK { Ok(interpreter) } else { Err(refused()) }
    }

    /// Describes all inputs or outputs, and makes sure that each can be used.
    fn tensors(&self, role: Role, model: &[u8]) -> Result<Vec<TensorInfo>, EngineError> {
        // SAFETY: the interpreter is alive.
        let count = unsafe {
            match role {
                Role::Input => TfLiteInterpreterGetInputTensorCount(self.0.as_ptr()),
                Role::Output => TfLiteInterpreterGetOutputTensorCount(self.0.as_ptr()),
            }
        };
        if count <= 0 {
            return Err(EngineError::Without(role.name()));
        }
        (0..count as usize).map(|index| self.describe(role, index, model)).collect()
    }

    fn describe(&self, role: Role, index: usize, model: &[u8]) -> Result<TensorInfo, EngineError> {
        let Some(tensor) = self.tensor(role, index) else { return Err(EngineError::Without(role.name())) };
        let name = tensor.name();
        let wrong = |reason| EngineError::Tensor { role: role.name(), name: name.clone(), reason };
        let element = tensor.element().ok_or_else(|| wrong("holds elements that lookhear does not know"))?;
        let shape = tensor.shape().ok_or_else(|| wrong("has no fixed shape"))?;
        let data = tensor.data::<u8>().ok_or_else(|| wrong("has no memory before the model runs"))?;
        let bytes = shape.iter().try_fold(element.bytes(), |bytes, side| bytes.checked_mul(*side));
        if bytes != Some(tensor.bytes()) || tensor.bytes() == 0 {
            return Err(wrong("has no fixed shape"));
        }
        // All of the library's memory is aligned to 64 bytes; a constant inside the model's bytes may not be.
        if data.as_ptr().align_offset(element.bytes()) != 0 {
            return Err(wrong("is not aligned"));
        }
        // Constants lie in the model's bytes, which others share and nobody may write to.
        if role == Role::Input && model.as_ptr_range().contains(&data.as_ptr().cast_const()) {
            return Err(wrong("is a constant"));
        }
        let quantisation = tensor.quantisation();
        Ok(TensorInfo { name, shape, element, quantisation })
    }

    fn tensor(&self, role: Role, index: usize) -> Option<Tensor<'_>> {
        let index = i32::try_from(index).ok()?;
        // SAFETY: the interpreter is alive; the library returns null for an index that is out of range.
        let tensor = unsafe {
            match role {
                Role::Input => TfLiteInterpreterGetInputTensor(self.0.as_ptr(), index),
                Role::Output => TfLiteInterpreterGetOutputTensor(self.0.as_ptr(), index),
            }
        };
        NonNull::new(tensor).map(|tensor| Tensor(tensor, PhantomData))
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        // SAFETY: made by the library, owned here, dropped once, before what it uses (the order in `Engine`).
        unsafe { TfLiteInterpreterDelete(self.0.as_ptr()) }
    }
}

/// A tensor of a living interpreter. Every function below only reads it.
struct Tensor<'a>(NonNull<c_void>, PhantomData<&'a Interpreter>);

impl Tensor<'_> {
    fn name(&self) -> String {
        // SAFETY: the tensor is alive; its name is null or ends with a zero, and lives as long.
        unsafe {
            let name = TfLiteTensorName(self.0.as_ptr());
            if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
        }
    }

    fn element(&self) -> Option<ElementType> {
        // SAFETY: the tensor is alive.
        match unsafe { TfLiteTensorType(self.0.as_ptr()) } {
            1 => Some(ElementType::Float32),
            2 => Some(ElementType::Int32),
            3 => Some(ElementType::Uint8),
            4 => Some(ElementType::Int64),
            7 => Some(ElementType::Int16),
            9 => Some(ElementType::Int8),
            _ => None,
        }
    }

    fn shape(&self) -> Option<Vec<usize>> {
        // SAFETY: the tensor is alive, and only dimensions that it has are asked for. A tensor without a shape says −1.
        unsafe {
            let dimensions = TfLiteTensorNumDims(self.0.as_ptr());
            (dimensions >= 0).then_some(())?;
            (0..dimensions).map(|index| usize::try_from(TfLiteTensorDim(self.0.as_ptr(), index)).ok()).collect()
        }
    }

    fn bytes(&self) -> usize {
        // SAFETY: the tensor is alive.
        unsafe { TfLiteTensorByteSize(self.0.as_ptr()) }
    }

    fn data<T>(&self) -> Option<NonNull<T>> {
        // SAFETY: the tensor is alive.
        NonNull::new(unsafe { TfLiteTensorData(self.0.as_ptr()) }.cast())
    }

    fn quantisation(&self) -> Option<Quantisation> {
        // SAFETY: the tensor is alive.
        let QuantizationParams { scale, zero_point } = unsafe { TfLiteTensorQuantizationParams(self.0.as_ptr()) };
        (scale != 0.0).then_some(Quantisation { scale, zero_point })
    }
}

/// The last words of the library about one model.
#[derive(Debug, Default)]
struct Messages(Mutex<String>);

impl Messages {
    /// What [`report`] gets back as its `user_data`.
    fn as_user_data(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    fn take(&self) -> String {
        let text = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if text.is_empty() { "it gives no reason".to_owned() } else { text }
    }

    fn add(&self, text: &str) {
        tracing::debug!(message = text.trim_end(), "TensorFlow Lite says");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The first line is the kernel's reason, those after it only say where. A few lines are enough.
        if all.len() < 500 {
            if !all.is_empty() {
                all.push_str("; ");
            }
            all.push_str(text.trim_end().trim_end_matches('.'));
        }
    }
}

/// The longest text of the library that is kept, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// Called by the library with a `printf` format and its arguments.
///
/// Stable Rust has no `va_list`, but none is needed to hand one on: on x86-64 and on 64-bit ARM a `va_list` argument is
/// passed as a pointer (an array that decays; a struct too large for registers), and on 32-bit ARM as a struct of one
/// pointer, which travels in the same register as a pointer would. `vsnprintf` takes it in the same way.
extern "C" fn report(user_data: *mut c_void, format: *const c_char, arguments: *mut c_void) {
    let mut text = [0_u8; LONGEST_MESSAGE];
    // SAFETY: the library gives a format with the arguments that belong to it, unused so far. `vsnprintf` writes at most
    // the buffer's length, its final zero included.
    let length = unsafe { vsnprintf(text.as_mut_ptr().cast(), text.len(), format, arguments) };
    let length = usize::try_from(length).unwrap_or(0).min(text.len() - 1);
    // SAFETY: `user_data` is what was given together with this function: shared `Messages` that outlive the model and
    // the interpreter. It is only read, and locks inside.
    let messages = unsafe { &*user_data.cast::<Messages>() };
    messages.add(&String::from_utf8_lossy(&text[..length]));
}

/// XNNPACK, which the library has everywhere but on 32-bit ARM.
#[cfg(not(target_arch = "arm"))]
mod xnnpack {
    use super::{NonNull, c_int, c_void};

    pub(super) const EXISTS: bool = true;

    /// Owns a delegate, which must outlive the interpreter that uses it.
    #[derive(Debug)]
    pub(super) struct Handle(NonNull<c_void>);

    impl Handle {
        pub(super) fn new(threads: usize) -> Option<Self> {
            // SAFETY: the library fills a struct through a hidden pointer; ours is larger than that of any version, and
            // only the first field has a place that all of them agree on. The delegate copies it.
            let delegate = unsafe {
                let mut options = TfLiteXNNPackDelegateOptionsDefault();
                options.num_threads = threads as c_int;
                TfLiteXNNPackDelegateCreate(&raw const options)
            };
            NonNull::new(delegate).map(Self)
        }

        pub(super) fn as_ptr(&self) -> *mut c_void {
            self.0.as_ptr()
        }
    }

    impl Drop for Handle {
        fn drop(&mut self) {
            // SAFETY: made by the library, owned here, dropped once, after the interpreter (the order in `Engine`).
            unsafe { TfLiteXNNPackDelegateDelete(self.0.as_ptr()) }
        }
    }

    #[repr(C)]
    struct Options {
        num_threads: c_int,
        reserved: [u32; 127],
    }

    // SAFETY: names and signatures of the library's `xnnpack_delegate.h`.
    unsafe extern "C" {
        fn TfLiteXNNPackDelegateOptionsDefault() -> Options;
        fn TfLiteXNNPackDelegateCreate(options: *const Options) -> *mut c_void;
        fn TfLiteXNNPackDelegateDelete(delegate: *mut c_void);
    }
}

/// A delegate that does not exist.
#[cfg(target_arch = "arm")]
mod xnnpack {
    use super::c_void;

    pub(super) const EXISTS: bool = false;

    #[derive(Debug)]
    pub(super) enum Handle {}

    impl Handle {
        pub(super) fn new(_: usize) -> Option<Self> {
            None
        }
        pub(super) fn as_ptr(&self) -> *mut c_void {
            match *self {}
        }
    }
}

/// `kTfLiteOk`.
const OK: c_int = 0;

#[repr(C)]
struct QuantizationParams {
    scale: f32,
    zero_point: i32,
}

type Reporter = extern "C" fn(*mut c_void, *const c_char, *mut c_void);

// SAFETY: names and signatures of the library's `c_api.h`, and of the C library's `vsnprintf`. Enumerations are `int`, and
// pointers to opaque types are `void *`.
unsafe extern "C" {
    fn TfLiteVersion() -> *const c_char;
    fn TfLiteModelCreateWithErrorReporter(
        bytes: *const c_void,
        size: usize,
        reporter: Option<Reporter>,
        user_data: *mut c_void,
    ) -> *mut c_void;
    fn TfLiteModelDelete(model: *mut c_void);
    fn TfLiteInterpreterOptionsCreate() -> *mut c_void;
    fn TfLiteInterpreterOptionsDelete(options: *mut c_void);
    fn TfLiteInterpreterOptionsSetNumThreads(options: *mut c_void, threads: i32);
    fn TfLiteInterpreterOptionsAddDelegate(options: *mut c_void, delegate: *mut c_void);
    fn TfLiteInterpreterOptionsSetErrorReporter(
        options: *mut c_void,
        reporter: Option<Reporter>,
        user_data: *mut c_void,
    );
    fn TfLiteInterpreterCreate(model: *const c_void, options: *const c_void) -> *mut c_void;
    fn TfLiteInterpreterDelete(interpreter: *mut c_void);
    fn TfLiteInterpreterAllocateTensors(interpreter: *mut c_void) -> c_int;
    fn TfLiteInterpreterInvoke(interpreter: *mut c_void) -> c_int;
    fn TfLiteInterpreterGetInputTensorCount(interpreter: *const c_void) -> i32;
    fn TfLiteInterpreterGetInputTensor(interpreter: *const c_void, index: i32) -> *mut c_void;
    fn TfLiteInterpreterGetOutputTensorCount(interpreter: *const c_void) -> i32;
    fn TfLiteInterpreterGetOutputTensor(interpreter: *const c_void, index: i32) -> *mut c_void;
    fn TfLiteTensorType(tensor: *const c_void) -> c_int;
    fn TfLiteTensorNumDims(tensor: *const c_void) -> i32;
    fn TfLiteTensorDim(tensor: *const c_void, index: i32) -> i32;
    fn TfLiteTensorByteSize(tensor: *const c_void) -> usize;
    fn TfLiteTensorData(tensor: *const c_void) -> *mut c_void;
    fn TfLiteTensorName(tensor: *const c_void) -> *const c_char;
    fn TfLiteTensorQuantizationParams(tensor: *const c_void) -> QuantizationParams;
    fn vsnprintf(text: *mut c_char, size: usize, format: *const c_char, arguments: *mut c_void) -> c_int;
}
