//! Names programming and configuration languages by extension, file name and first line.

use serde::{Deserialize, Serialize};

macro_rules! languages {
    ($($variant:ident, $name:literal, [$($extension:literal),*];)*) => {
        /// A language of source code, configuration or styles.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Language {
            $(#[doc = $name] $variant,)*
        }

        impl Language {
            /// The lower-case name, as used behind the fence of a Markdown code block.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The language of files with this extension (lower case, without the dot).
            pub fn by_extension(extension: &str) -> Option<Self> {
                match extension {
                    $($($extension)|* => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

languages! {
    Rust, "rust", ["rs"];
    Python, "python", ["py", "pyi", "pyw"];
    JavaScript, "javascript", ["js", "mjs", "cjs", "jsx"];
    TypeScript, "typescript", ["ts", "tsx", "mts", "cts"];
    Go, "go", ["go"];
    Java, "java", ["java"];
    Kotlin, "kotlin", ["kt", "kts"];
    Scala, "scala", ["scala", "sc"];
    C, "c", ["c", "h"];
    Cpp, "cpp", ["cc", "cpp", "cxx", "hpp", "hh", "hxx", "ino"];
    CSharp, "csharp", ["cs"];
    Swift, "swift", ["swift"];
    ObjectiveC, "objective-c", ["m", "mm"];
    Ruby, "ruby", ["rb", "rake", "gemspec"];
    Php, "php", ["php"];
    Perl, "perl", ["pl", "pm"];
    Lua, "lua", ["lua"];
    R, "r", ["r"];
    Julia, "julia", ["jl"];
    Haskell, "haskell", ["hs"];
    OCaml, "ocaml", ["ml", "mli"];
    Elixir, "elixir", ["ex", "exs"];
    Erlang, "erlang", ["erl", "hrl"];
    Clojure, "clojure", ["clj", "cljs", "edn"];
    Dart, "dart", ["dart"];
    Zig, "zig", ["zig"];
    Shell, "shell", ["sh", "bash", "zsh", "fish"];
    PowerShell, "powershell", ["ps1", "psm1"];
    Sql, "sql", ["sql"];
    Css, "css", ["css", "scss", "sass", "less"];
    Vue, "vue", ["vue", "svelte"];
    Yaml, "yaml", ["yaml", "yml"];
    Toml, "toml", ["toml"];
    Ini, "ini", ["ini", "cfg", "conf", "properties", "env"];
    Terraform, "terraform", ["tf", "tfvars", "hcl"];
    Protobuf, "protobuf", ["proto"];
    GraphQl, "graphql", ["graphql", "gql"];
    Docker, "dockerfile", ["dockerfile"];
    Make, "makefile", ["mk", "mak"];
    CMake, "cmake", ["cmake"];
    Nix, "nix", ["nix"];
    Diff, "diff", ["diff", "patch"];
}

impl Language {
    /// The language of a file that is known by its whole name.
    pub(super) fn by_file_name(name: &str) -> Option<Self> {
        match name {
            "Dockerfile" | "Containerfile" => Some(Self::Docker),
            "Makefile" | "makefile" | "GNUmakefile" | "justfile" => Some(Self::Make),
            "CMakeLists.txt" => Some(Self::CMake),
            "Rakefile" | "Gemfile" => Some(Self::Ruby),
            "Jenkinsfile" => Some(Self::Java),
            ".bashrc" | ".profile" | ".zshrc" => Some(Self::Shell),
            ".gitignore" | ".editorconfig" | ".gitattributes" => Some(Self::Ini),
            _ => None,
        }
    }

    /// The language of a script by its `#!` line.
    pub(super) fn by_shebang(line: &str) -> Option<Self> {
        let command = line.strip_prefix("#!")?;
        let mut words = command
            .split_whitespace()
            .flat_map(|w| w.rsplit('/').next())
            .filter(|w| *w != "env" && !w.starts_with('-'));
        let program = words.next()?.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        match program {
            "sh" | "bash" | "zsh" | "dash" | "ksh" | "fish" => Some(Self::Shell),
            "python" | "pypy" => Some(Self::Python),
            "node" | "deno" | "bun" => Some(Self::JavaScript),
            "ruby" => Some(Self::Ruby),
            "perl" => Some(Self::Perl),
            "php" => Some(Self::Php),
            "lua" => Some(Self::Lua),
            "Rscript" => Some(Self::R),
            "julia" => Some(Self::Julia),
            _ => None,
        }
    }
}
