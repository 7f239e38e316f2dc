// libcurl for Swift, which cannot call variadic functions: one setter for each type of option.
#pragma once

#include <curl/curl.h>

/// CURLOPT_WRITEFUNCTION and CURLOPT_READFUNCTION have the same shape.
typedef size_t (*coffer_curl_transfer)(char *buffer, size_t size, size_t count, void *context);
/// CURLOPT_SEEKFUNCTION.
typedef int (*coffer_curl_seek)(void *context, curl_off_t offset, int origin);

/// curl_global_init(3); to be called once, before any other.
static inline CURLcode coffer_curl_initialize(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }

static inline CURLcode coffer_curl_set_number(CURL *handle, CURLoption option, long value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode coffer_curl_set_size(CURL *handle, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(handle, option, value);
}

/// libcurl copies the text.
static inline CURLcode coffer_curl_set_text(CURL *handle, CURLoption option, const char *value) {
  return curl_easy_setopt(handle, option, value);
}

/// What is pointed to must live as long as the handle uses it.
static inline CURLcode coffer_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode coffer_curl_set_transfer(CURL *handle, CURLoption option,
                                                coffer_curl_transfer value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode coffer_curl_set_seek(CURL *handle, coffer_curl_seek value) {
  return curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, value);
}

static inline long coffer_curl_status(CURL *handle) {
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

/// The errno of the last failed connection attempt; 0 when there was none.
static inline long coffer_curl_errno(CURL *handle) {
  long number = 0;
  curl_easy_getinfo(handle, CURLINFO_OS_ERRNO, &number);
  return number;
}

/// The Content-Length of the answer; -1 when it said none.
static inline curl_off_t coffer_curl_content_length(CURL *handle) {
  curl_off_t length = -1;
  curl_easy_getinfo(handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  return length;
}

/// The Content-Type of the answer; NULL when it said none. Valid until the next transfer.
static inline const char *coffer_curl_content_type(CURL *handle) {
  const char *type = NULL;
  curl_easy_getinfo(handle, CURLINFO_CONTENT_TYPE, &type);
  return type;
}
