/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lambda_name.h - how a client names a function: NAME, NAME:QUALIFIER, and ARNs of Lambda, whole
 * ("arn:aws:lambda:REGION:ACCOUNT:function:NAME") or in part ("ACCOUNT:function:NAME"), each
 * with a qualifier or without. Partition, region and account are not looked at: there is one
 * of each here.
 */
#pragma once

#include "engine/util.h"
#include "tools/thawd/call.h"

struct err;

#define LAMBDA_NAME_MAX                                                                        \
	256u /* bytes of what clients may send; Lambda's NamespacedFunctionName */

struct lambda_name {
	char function[CALL_NAME_SIZE];
	char qualifier[CALL_QUALIFIER_SIZE]; /* "": none */
};

/* Errors: -EINVAL, with a sentence for the client. */
int lambda_name_parse(struct lambda_name *name, const char *text, struct err *err) must_check;

/*
 * The qualifier that was sent apart from the name; "" is none. It may not contradict.
 * Errors: -EINVAL, with a sentence for the client.
 */
int lambda_name_qualify(struct lambda_name *name, const char *qualifier,
			struct err *err) must_check;
