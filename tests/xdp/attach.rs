//! The program on real devices.
