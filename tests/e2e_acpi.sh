#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The firmware tables before who else reads such: ACPICA's disassembler takes them apart without a
# complaint, what it wrote compiles again to the same program, and its interpreter runs it.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_program iasl
need_program acpiexec

TABLES=${TABLES:-build/release/tests/e2e/acpi_tables}
expect_status 0 "the tables are written" "$TABLES" "$WORK"
cd "$WORK" || exit 1
mkdir again

# The compiler exits with 0 after warnings, and says how many there were.
for table in XSDT FACP APIC DSDT; do
	expect_status 0 "$table is disassembled" iasl -d "$table.aml"
	expect_equal "no complaint about $table" "$(grep -iE 'error|warn|invalid' "$E2E_OUT" "$E2E_ERR")" ""
	expect_status 0 "$table is compiled again" iasl -oa -p "again/$table" "$table.dsl"
	expect_match "no complaint about it" "$(cat "$E2E_OUT" "$E2E_ERR")" \
		'Compilation successful. 0 Errors, 0 Warnings, 0 Remarks'
done
# Behind the headers, which name their compiler. A DSDT of another compiler has shorter lengths.
for table in XSDT FACP APIC; do
	tail -c +37 "$table.aml" >is
	tail -c +37 "again/$table.aml" >want
	expect_same_file "$table is what its text says" is want
done
iasl -d -p again/DSDT again/DSDT.aml >/dev/null 2>&1
program() { sed -n '/^DefinitionBlock/,$p' "$1" | tail -n +2; }
program DSDT.dsl >is
program again/DSDT.dsl >want
expect_same_file "the DSDT is what its text says" is want

expect_status 0 "the DSDT is interpreted" timeout 60 acpiexec \
	-b 'execute \_SB.GED._EVT 5; execute \_SB.VGEN.ADDR; execute \_S5' DSDT.aml FACP.aml
cat "$E2E_OUT" "$E2E_ERR" >ran
expect_equal "without an exception" "$(grep -E 'AE_|Error|Warning' ran)" ""
expect_match "the reader of events runs" "$(cat ran)" 'returned from evaluation of \\_SB.GED._EVT'
expect_match "the generation id has an address" "$(cat ran)" 'Integer. = 00000000000FE000'
finish
