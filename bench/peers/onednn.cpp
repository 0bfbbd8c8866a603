// oneDNN's primitives for the same work: products with plain and with reordered weights, softmax, functions, quantisation.
#include "bench/peers/peer.hpp"

#if __has_include(<oneapi/dnnl/dnnl.hpp>) && defined(COTENANT_BENCH_ONEDNN)
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#else
#undef COTENANT_BENCH_ONEDNN
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

namespace bench::peers {

void set_threads(int threads) {
  blas_set_threads(threads);
#ifdef _OPENMP
  omp_set_num_threads(threads);  // oneDNN, Eigen
#endif
}

std::vector<std::string> descriptions() {
  std::vector<std::string> lines = blas_descriptions();
  for (auto more : {dnn_descriptions(), eigen_descriptions()}) lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

#ifdef COTENANT_BENCH_ONEDNN
namespace {

using dnnl::memory;
using Arguments = std::unordered_map<int, memory>;

const dnnl::engine& engine() {
  static const dnnl::engine one(dnnl::engine::kind::cpu, 0);
  return one;
}
dnnl::stream& stream() {
  static dnnl::stream one(engine());
  return one;
}
memory::data_type type(Type t) {
  switch (t) {
    case Type::f32: return memory::data_type::f32;
    case Type::bf16: return memory::data_type::bf16;
    case Type::u8: return memory::data_type::u8;
    case Type::s8: return memory::data_type::s8;
    case Type::s32: return memory::data_type::s32;
  }
  return memory::data_type::undef;
}
memory::dim dim(std::size_t value) { return static_cast<memory::dim>(value); }
memory wrap(const memory::desc& desc, const void* data) { return memory(desc, engine(), const_cast<void*>(data)); }
// [rows, columns], or [batch, rows, columns], stored with the last or the last but one axis contiguous.
memory::desc matrix(Type t, std::size_t batch, std::size_t rows, std::size_t columns, bool transposed) {
  memory::dims shape{dim(rows), dim(columns)}, strides = transposed ? memory::dims{1, dim(rows)} : memory::dims{dim(columns), 1};
  if (batch > 1) {
    shape.insert(shape.begin(), dim(batch));
    strides.insert(strides.begin(), dim(rows * columns));
  }
  return memory::desc(shape, type(t), strides);
}
std::function<void()> call(const dnnl::primitive& primitive, const Arguments& arguments) {
  return [primitive, arguments] {
    primitive.execute(stream(), arguments);
    stream().wait();
  };
}
// A primitive that this oneDNN or this CPU does not have is left out.
template <class Make> Peers where_possible(const Make& make) {
  try {
    return make();
  } catch (const dnnl::error&) {
    return {};
  }
}

}  // namespace

Peers dnn_product(const Product& p, const DnnOptions& options) {
  return where_possible([&]() -> Peers {
    const memory::desc a = matrix(options.a, p.batch, p.m, p.k, p.a_transposed), b = matrix(options.b, p.batch, p.k, p.n, p.b_transposed);
    const memory::desc out = matrix(options.out, p.batch, p.m, p.n, false);
    const memory::desc any(b.dims(), type(options.b), memory::format_tag::any);
    const memory::desc bias({1, dim(p.n)}, memory::data_type::f32, memory::format_tag::ab);
    dnnl::primitive_attr attributes;
    if (options.scales != nullptr) attributes.set_output_scales(1 << 1, std::vector<float>(options.scales, options.scales + p.n));
    if (options.gelu) {
      dnnl::post_ops operations;
      operations.append_eltwise(1.0f, dnnl::algorithm::eltwise_gelu_erf, 0, 0);
      attributes.set_post_ops(operations);
    }
    const memory::desc& weights = options.packed ? any : b;
    const dnnl::matmul::desc desc = options.bias != nullptr ? dnnl::matmul::desc(a, weights, bias, out) : dnnl::matmul::desc(a, weights, out);
    const dnnl::matmul::primitive_desc chosen(desc, attributes, engine());
    memory right = wrap(b, p.b);
    if (options.packed && chosen.weights_desc() != b) {
      memory reordered(chosen.weights_desc(), engine());
      dnnl::reorder(right, reordered).execute(stream(), right, reordered);
      stream().wait();
      right = reordered;
    }
    auto room_of_result = room(p.batch * p.m * p.n * bytes_of(options.out));
    Arguments arguments{{DNNL_ARG_SRC, wrap(a, p.a)}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, wrap(out, room_of_result.get())}};
    if (options.bias != nullptr) arguments.insert({DNNL_ARG_BIAS, wrap(bias, options.bias)});
    return {{options.packed ? "oneDNN (packed)" : "oneDNN", call(dnnl::matmul(chosen), arguments), room_of_result, 0.003}};
  });
}

Peers dnn_softmax(const float* x, std::size_t rows, std::size_t columns) {
  return where_possible([&]() -> Peers {
    const memory::desc desc({dim(rows), dim(columns)}, memory::data_type::f32, memory::format_tag::ab);
    const dnnl::softmax_forward::primitive_desc chosen({dnnl::prop_kind::forward_inference, desc, 1}, engine());
    auto out = room(rows * columns * sizeof(float));
    return {{"oneDNN", call(dnnl::softmax_forward(chosen), {{DNNL_ARG_SRC, wrap(desc, x)}, {DNNL_ARG_DST, wrap(desc, out.get())}}), out, 0.003}};
  });
}

Peers dnn_unary(Function function, const float* x, std::size_t count) {
  return where_possible([&]() -> Peers {
    const dnnl::algorithm algorithms[] = {dnnl::algorithm::eltwise_gelu_erf, dnnl::algorithm::eltwise_gelu_tanh, dnnl::algorithm::eltwise_logistic, dnnl::algorithm::eltwise_tanh,
                                          dnnl::algorithm::eltwise_exp};
    const memory::desc desc({dim(count)}, memory::data_type::f32, memory::format_tag::a);
    const dnnl::eltwise_forward::primitive_desc chosen({dnnl::prop_kind::forward_inference, algorithms[static_cast<int>(function)], desc, 0, 0}, engine());
    auto out = room(count * sizeof(float));
    return {{"oneDNN", call(dnnl::eltwise_forward(chosen), {{DNNL_ARG_SRC, wrap(desc, x)}, {DNNL_ARG_DST, wrap(desc, out.get())}}), out, 0.003}};
  });
}

namespace {
Peers reorder_scaled(Type from, Type to, const void* x, std::size_t count, float factor) {
  return where_possible([&]() -> Peers {
    const memory::desc in({dim(count)}, type(from), memory::format_tag::a), out({dim(count)}, type(to), memory::format_tag::a);
    dnnl::primitive_attr attributes;
    attributes.set_output_scales(0, {factor});
    const dnnl::reorder::primitive_desc chosen(engine(), in, engine(), out, attributes);
    auto result = room(count * bytes_of(to));
    return {{"oneDNN", call(dnnl::reorder(chosen), {{DNNL_ARG_FROM, wrap(in, x)}, {DNNL_ARG_TO, wrap(out, result.get())}}), result, 0.003}};
  });
}
}  // namespace
Peers dnn_quantize(const float* x, std::size_t count, float scale) { return reorder_scaled(Type::f32, Type::s8, x, count, 1.0f / scale); }
Peers dnn_dequantize(const std::int8_t* x, std::size_t count, float scale) { return reorder_scaled(Type::s8, Type::f32, x, count, scale); }

Peers dnn_attention(const float* q, const float* k, const float* v, std::size_t heads, std::size_t m, std::size_t n, std::size_t d, float scale) {
  return where_possible([&]() -> Peers {
    const memory::desc query = matrix(Type::f32, heads, m, d, false), key = matrix(Type::f32, heads, d, n, true), value = matrix(Type::f32, heads, n, d, false);
    const memory::desc scores = matrix(Type::f32, heads, m, n, false), out = query;
    dnnl::primitive_attr scaled;
    scaled.set_output_scales(0, {scale});
    const dnnl::matmul::primitive_desc first({query, key, scores}, scaled, engine()), last({scores, value, out}, engine());
    const dnnl::softmax_forward::primitive_desc middle({dnnl::prop_kind::forward_inference, scores, 2}, engine());
    memory table(scores, engine());
    auto result = room(heads * m * d * sizeof(float));
    const auto one = call(dnnl::matmul(first), {{DNNL_ARG_SRC, wrap(query, q)}, {DNNL_ARG_WEIGHTS, wrap(key, k)}, {DNNL_ARG_DST, table}});
    const auto two = call(dnnl::softmax_forward(middle), {{DNNL_ARG_SRC, table}, {DNNL_ARG_DST, table}});
    const auto three = call(dnnl::matmul(last), {{DNNL_ARG_SRC, table}, {DNNL_ARG_WEIGHTS, wrap(value, v)}, {DNNL_ARG_DST, wrap(out, result.get())}});
    return {{"oneDNN, unfused", [=] { one(), two(), three(); }, result, 0.003}};
  });
}

std::vector<std::string> dnn_descriptions() {
  const dnnl_version_t* version = dnnl_version();
  std::string isa;
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx2: isa = "AVX2"; break;
    case dnnl::cpu_isa::avx512_core: isa = "AVX-512"; break;
    case dnnl::cpu_isa::avx512_core_vnni: isa = "AVX-512 VNNI"; break;
    case dnnl::cpu_isa::avx512_core_bf16: isa = "AVX-512 BF16"; break;
    default: isa = "instruction set " + std::to_string(static_cast<int>(dnnl::get_effective_cpu_isa()));
  }
  return {"oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch) + ", " + isa};
}
#else
Peers dnn_product(const Product&, const DnnOptions&) { return {}; }
Peers dnn_softmax(const float*, std::size_t, std::size_t) { return {}; }
Peers dnn_unary(Function, const float*, std::size_t) { return {}; }
Peers dnn_quantize(const float*, std::size_t, float) { return {}; }
Peers dnn_dequantize(const std::int8_t*, std::size_t, float) { return {}; }
Peers dnn_attention(const float*, const float*, const float*, std::size_t, std::size_t, std::size_t, std::size_t, float) { return {}; }
std::vector<std::string> dnn_descriptions() { return {"oneDNN is not here"}; }
#endif

}  // namespace bench::peers
