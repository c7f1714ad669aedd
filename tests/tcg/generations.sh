#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Generations of a machine (tests/linux/generations.sh) with our kernel for hosts with SVM, which has VMGenID.
export LINUX_KERNELS='' DATA_DISK=build/tcg/data.ext4 RESEEDS=1
export BUILD_OPTIONS='--kernel build/tcg/full/vmlinuz --record-runs 1'
. tests/linux/generations.sh
