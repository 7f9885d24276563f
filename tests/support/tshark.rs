//! tshark as the judge of what is on the wire.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::capture::{Seen, write_pcap};

/// What tshark finds fault with, one line per frame; empty when it is content. Checksums are verified.
///
/// tshark dissects a capture without a word when it does not know a protocol, so each frame must also be one of those
/// that `filter` names.
pub fn faults(frames: &[Seen], file: &Path, filter: &str) -> Result<Vec<String>> {
    write_pcap(frames, file)?;
    let not_content = format!(
        "_ws.malformed || _ws.expert.severity >= 0x00400000 || !({filter}) || ip.checksum.status == 0 || vrrp.checksum.status == 0 \
         || icmpv6.checksum.status == 0"
    );
    let output = Command::new("tshark")
        .args(["-n", "-r"])
        .arg(file)
        .args(["-o", "ip.check_checksum:TRUE", "-o", "vrrp.v3_checksum_as_in_v2:FALSE"])
        // A virtual address moves from one MAC to another: that is what it is for.
        .args(["-o", "arp.detect_duplicate_ips:FALSE", "-Y", &not_content])
        .args(["-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info", "-e", "_ws.expert.message"])
        .output()
        .context("cannot run tshark")?;
    if !output.status.success() {
        bail!("tshark: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}
