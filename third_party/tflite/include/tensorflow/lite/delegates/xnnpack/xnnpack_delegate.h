/* The XNNPACK delegate's interface, as far as the crate `tflitec` uses it. Written for lookhear. */
#ifndef LOOKHEAR_TFLITE_XNNPACK_DELEGATE_H
#define LOOKHEAR_TFLITE_XNNPACK_DELEGATE_H

#include "tensorflow/lite/c/c_api.h"

/* Only the first field has a place that every version agrees on; the size of the struct grows from version to
 * version, and TfLiteXNNPackDelegateOptionsDefault() fills it through a hidden pointer. Declared larger than any, so
 * that the library never writes past it. */
typedef struct {
  int32_t num_threads;
  uint32_t reserved[127];
} TfLiteXNNPackDelegateOptions;

TfLiteXNNPackDelegateOptions TfLiteXNNPackDelegateOptionsDefault(void);
TfLiteDelegate* TfLiteXNNPackDelegateCreate(const TfLiteXNNPackDelegateOptions* options);
void TfLiteXNNPackDelegateDelete(TfLiteDelegate* delegate);

#endif
