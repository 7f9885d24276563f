//! The program: one straight line from the frame to what becomes of it.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use vrrp_common::abi::DEVICE_OBSERVE;
use vrrp_common::classify::{self, Ingress};
use vrrp_common::drop::Disposition;

use crate::packet::Packet;
use crate::{maps, report};

#[xdp(frags)]
pub fn vrrp(context: XdpContext) -> u32 {
    let frame = Packet::new(&context);
    let Some(packet) = classify::Packet::find(&frame) else { return XDP_PASS };
    // SAFETY: the context is valid for the whole run.
    let ifindex = unsafe { (*context.ctx).ingress_ifindex };
    let Some(device) = maps::device(ifindex) else { return XDP_PASS };
    let Some(record) = maps::scratch() else { return XDP_PASS };
    let judgement = classify::judge(&frame, packet, Ingress { ifindex, device }, &maps::RuleMap, &mut record.message);
    let (reason, action) = match judgement.disposition {
        Disposition::Pass => (judgement.reason, XDP_PASS),
        Disposition::Drop => (judgement.reason, XDP_DROP),
        Disposition::Deliver if device.flags & DEVICE_OBSERVE != 0 => (judgement.reason, XDP_PASS),
        Disposition::Deliver => report::hand_over(record, &judgement),
    };
    maps::count(judgement.row, reason);
    #[cfg(feature = "trace")]
    report::trace(&context, &judgement, reason, action);
    action
}

/// Never called: nothing here can panic, and an object in which something could does not load.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// GPL-only helpers need a compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
