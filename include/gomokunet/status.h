/* Status and error text: how every function of GomokuNet that may fail from outside says so.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_STATUS_H
#define GOMOKUNET_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Why a call failed.  GN_OK is 0; every other value comes with a text in gn_err. */
typedef enum gn_status {
    GN_OK = 0,
    GN_E_CONFIG,   /* an option or a configuration makes no sense */
    GN_E_IO,       /* the file system refused: open, read, write, sync, rename */
    GN_E_FORMAT,   /* a file is not what it says it is */
    GN_E_SHAPE,    /* a valid tensor, made for another network */
    GN_E_DATA,     /* too little or unusable training data */
    GN_E_NOMEM,    /* memory, or an arena, is exhausted */
    GN_E_NUMERIC,  /* a NaN or an infinity where a number must be */
    GN_E_PLATFORM  /* this machine or build breaks the numeric contract */
} gn_status;

/* The text names the file, tensor, option or byte, and says what was expected. */
typedef struct gn_err {
    gn_status status;
    char text[1024];
} gn_err;

#if defined(__GNUC__)
#define GN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define GN_PRINTF(text, first)
#endif

/* Fills *err (NULL is allowed) and returns status, so that a failure is one line:
 * `return gn_fail(err, GN_E_IO, "%s: %s", path, strerror(errno));`  Long texts are cut. */
gn_status gn_fail(gn_err *err, gn_status status, const char *format, ...) GN_PRINTF(3, 4);

/* "ok", "config", "io", ...: a constant string, never NULL. */
const char *gn_status_name(gn_status status);

#ifdef __cplusplus
}
#endif
#endif
