//! The XDP object as an ELF file: dropping DWARF but not BTF, and what two objects must share to be the same program.

use anyhow::{Context, Result, bail};
use object::build::elf::{Builder, SectionData};
use object::elf;
use std::collections::{BTreeMap, BTreeSet};

/// The object without DWARF. BTF and its relocations stay: the loader gives them to the kernel, and the verifier's log
/// then shows names and lines.
pub fn strip(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object).context("the linker's output is not an ELF file")?;
    for section in &mut builder.sections {
        let name = section.name.to_string();
        section.delete = name.starts_with(".debug_") || name.starts_with(".rel.debug_");
    }
    builder.delete_orphans();
    if !builder.sections.iter().any(|section| matches!(section.data, SectionData::SectionString)) {
        // LLVM keeps the names of sections and symbols in one table; the writer wants two.
        let names = builder.sections.add();
        names.name = b".shstrtab".as_slice().into();
        names.sh_type = elf::SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
    }
    builder.set_section_sizes();
    let mut stripped = Vec::new();
    builder.write(&mut stripped).context("cannot write the stripped object")?;
    verify(object, &stripped)?;
    Ok(stripped)
}

/// Stripping may lose nothing that a loader reads.
fn verify(before: &[u8], after: &[u8]) -> Result<()> {
    let program = Program::read(after)?;
    let differences = Program::read(before)?.differences(&program);
    if !differences.is_empty() {
        bail!("stripping the object changed it: {}", differences.join("; "));
    }
    for section in ["license", ".BTF", ".BTF.ext"] {
        if !program.names.contains(section) {
            bail!("the object has no section `{section}`: a loader could not use it");
        }
    }
    if !program.names.iter().any(|name| name.starts_with("xdp")) {
        bail!("the object has no XDP program in it");
    }
    Ok(())
}

/// What runs: instructions, data, maps, and what their references mean. Not BTF, whose line numbers and paths may differ
/// between two builds of the same program.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Content of the sections that the kernel gets.
    sections: BTreeMap<String, Vec<u8>>,
    /// (section, offset, type, section referred to, offset there)
    relocations: BTreeSet<(String, u64, u32, String, u64)>,
    /// (name, section, offset, size) of programs, maps and settings: what loaders look up by name.
    symbols: BTreeSet<(String, String, u64, u64)>,
    /// Every section, loaded or not.
    names: BTreeSet<String>,
}

impl Program {
    pub fn read(object: &[u8]) -> Result<Self> {
        let builder = Builder::read(object).context("not an ELF file")?;
        let name_of = |id: Option<_>| id.map_or(String::new(), |id| builder.sections.get(id).name.to_string());
        let mut program = Self::default();
        for section in &builder.sections {
            let name = section.name.to_string();
            program.names.insert(name.clone());
            match &section.data {
                SectionData::Data(data) if section.is_alloc() => {
                    program.sections.insert(name, data.to_vec());
                }
                SectionData::Relocation(relocations) => {
                    let from = section.sh_info_section.map(|id| builder.sections.get(id));
                    let Some(from) = from.filter(|from| from.is_alloc()) else {
                        continue;
                    };
                    for relocation in relocations {
                        let symbol = relocation.symbol.map(|id| builder.symbols.get(id));
                        program.relocations.insert((
                            from.name.to_string(),
                            relocation.r_offset,
                            relocation.r_type,
                            name_of(symbol.and_then(|symbol| symbol.section)),
                            symbol.map_or(0, |symbol| symbol.st_value),
                        ));
                    }
                }
                _ => {}
            }
        }
        for symbol in &builder.symbols {
            // A local name carries a hash of how the compiler was called.
            if symbol.st_bind() == elf::STB_GLOBAL {
                let place = (symbol.name.to_string(), name_of(symbol.section), symbol.st_value, symbol.st_size);
                program.symbols.insert(place);
            }
        }
        Ok(program)
    }

    /// One phrase for each difference; none when both are the same program.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<_> = self.sections.keys().chain(other.sections.keys()).collect();
        let mut found = Vec::new();
        for name in names {
            match (self.sections.get(name), other.sections.get(name)) {
                (Some(one), Some(two)) if one != two => {
                    let at = one.iter().zip(two).position(|(one, two)| one != two).unwrap_or(one.len().min(two.len()));
                    // An instruction has eight octets.
                    let (place, sizes) = (at / 8, (one.len() / 8, two.len() / 8));
                    found.push(format!("`{name}` differs from word {place} on ({} and {} words)", sizes.0, sizes.1));
                }
                (Some(_), Some(_)) => {}
                _ => found.push(format!("only one has `{name}`")),
            }
        }
        for (name, section, ..) in self.symbols.symmetric_difference(&other.symbols) {
            found.push(format!("`{name}` is elsewhere in `{section}`, or of another size"));
        }
        for (section, offset, ..) in self.relocations.symmetric_difference(&other.relocations) {
            found.push(format!("`{section}` refers to something else at {offset:#x}"));
        }
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &[u8]) -> Program {
        Program { sections: BTreeMap::from([("xdp".into(), text.to_vec())]), ..Program::default() }
    }

    #[test]
    fn equal_programs_differ_in_nothing() {
        assert_eq!(program(&[1; 16]).differences(&program(&[1; 16])), Vec::<String>::new());
    }

    #[test]
    fn says_which_instruction_differs() {
        let mut other = [1; 24];
        other[17] = 2;
        let found = program(&[1; 24]).differences(&program(&other));
        assert_eq!(found, ["`xdp` differs from word 2 on (3 and 3 words)"]);
        let found = program(&[1; 24]).differences(&program(&[1; 16]));
        assert_eq!(found, ["`xdp` differs from word 2 on (3 and 2 words)"]);
    }

    #[test]
    fn a_moved_map_is_a_difference() {
        let mut one = program(&[]);
        let mut two = program(&[]);
        one.symbols.insert(("COUNTERS".into(), "maps".into(), 0, 28));
        two.symbols.insert(("COUNTERS".into(), "maps".into(), 28, 28));
        assert_eq!(one.differences(&two), ["`COUNTERS` is elsewhere in `maps`, or of another size"]);
    }

    #[test]
    fn the_committed_object_is_stripped() {
        let object = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../vrrp-ebpf/vrrp.bpf.o")).unwrap();
        assert!(!Program::read(&object).unwrap().names.iter().any(|name| name.starts_with(".debug_")));
        verify(&object, &object).unwrap();
    }
}
