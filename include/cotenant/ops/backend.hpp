// Backend: the contract of a set of kernels, over the argument structs of ops/.
#ifndef COTENANT_OPS_BACKEND_HPP
#define COTENANT_OPS_BACKEND_HPP
#include <concepts>
#include <string_view>

#include "cotenant/ops/attention.hpp"
#include "cotenant/ops/copy.hpp"
#include "cotenant/ops/gather.hpp"
#include "cotenant/ops/layer_norm.hpp"
#include "cotenant/ops/map.hpp"
#include "cotenant/ops/matmul.hpp"
#include "cotenant/ops/quantize.hpp"
#include "cotenant/ops/quantized_matmul.hpp"
#include "cotenant/ops/reduce.hpp"
#include "cotenant/ops/rms_norm.hpp"
#include "cotenant/ops/rotary.hpp"
#include "cotenant/ops/softmax.hpp"
#include "cotenant/ops/top_k.hpp"

namespace cotenant {

// Kernels for one kind of memory. The front doors have checked every shape, index range and alias rule that can be
// checked without reading elements; a backend only computes.
//   storage_type      where this backend's own tensors live
//   runs_when_called  true: an op is done when it returns. false: it is queued, the output block's Completion says when
//                     it is done (Block::set_pending), and the backend keeps the operands' blocks alive until then
//   synchronize()     returns when everything queued is done
template <class B> concept Backend =
    requires(B& backend, const CopyArguments<float>& copy, const MapArguments<float, expr::Identity, float>& map,
             const MatmulArguments<float, float, float, expr::Identity>& matmul, const SoftmaxArguments<float, float>& softmax,
             const AttentionArguments<float, float, float, bool, float>& attention,
             const ReduceArguments<reduction::Sum, float, float>& reduce, const TopKArguments<float>& top_k,
             const NormArguments<float, float, float, float, float>& norm, const RotaryArguments<float, float, float>& rotary,
             const GatherArguments<float, std::int32_t, float>& gather,
             const QuantizeArguments<float, std::int8_t>& quantize, const DequantizeArguments<std::int8_t, float>& dequantize,
             const DynamicQuantizeArguments<float, std::uint8_t>& dynamic_quantize, const RequantizeArguments<std::int32_t, std::int8_t>& requantize,
             const QuantizedMatmulArguments<float, i4x2, float, expr::Identity>& quantized_matmul) {
      requires Storage<typename B::storage_type>;
      { B::name() } -> std::convertible_to<std::string_view>;
      { B::runs_when_called } -> std::convertible_to<bool>;
      backend.synchronize();
      backend.copy(copy);
      backend.map(map);
      backend.matmul(matmul);
      backend.softmax(softmax);
      backend.attention(attention);
      backend.reduce(reduce);
      backend.top_k(top_k);
      backend.norm(norm);
      backend.rotary(rotary);
      backend.gather(gather);
      backend.quantize(quantize);
      backend.dequantize(dequantize);
      backend.dynamic_quantize(dynamic_quantize);
      backend.requantize(requantize);
      backend.quantized_matmul(quantized_matmul);
    };

}  // namespace cotenant

#endif
