//! Loads the ONNX Runtime library, once per process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use crate::error::{ErrorKind, ModelError, Result};

/// The one environment a process may have, and the library it came from.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// A loaded ONNX Runtime; cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
    library: PathBuf,
}

impl Runtime {
    /// Loads the library at `path`. A process has one: once a library is loaded, any other path gives that same one.
    /// Blocks for tens of milliseconds the first time.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file, `Corrupt` when it can't be loaded or is older than version 1.24.
    pub fn load(path: &Path) -> Result<Self> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            if runtime.library != path {
                tracing::debug!(loaded = %runtime.library.display(), asked = %path.display(), "runtime already loaded");
            }
            return Ok(runtime.clone());
        }
        if !path.is_file() {
            return Err(ModelError::new(
                ErrorKind::NotFound,
                "the ONNX Runtime library is not set up here; run `make setup`, or `wellspring doctor` for details",
            )
            .with_source(std::io::Error::new(
                std::io::ErrorKind::NotFound,
                format!("there is no file {}", path.display()),
            )));
        }
        let broken = |source: Box<dyn std::error::Error + Send + Sync>| {
            ModelError::new(
                ErrorKind::Corrupt,
                format!(
                    "the ONNX Runtime library at {} can't be loaded ({source}); delete it and run `make setup`",
                    path.display()
                ),
            )
            .with_source(source)
        };
        let environment = ort::init_from(path)
            .map_err(|error| broken(Box::new(error)))?
            .with_name("wellspring")
            .with_telemetry(false)
            .build()
            .map_err(|error| broken(Box::new(error)))?;
        let runtime = Self { environment, library: path.to_owned() };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The library in use.
    pub fn library(&self) -> &Path {
        &self.library
    }

    pub(super) fn environment(&self) -> Environment {
        self.environment.clone()
    }
}

/// The library's file name on this operating system.
pub fn library_file_name() -> &'static str {
    if cfg!(target_os = "windows") {
        "onnxruntime.dll"
    } else if cfg!(target_os = "macos") {
        "libonnxruntime.dylib"
    } else {
        "libonnxruntime.so"
    }
}
