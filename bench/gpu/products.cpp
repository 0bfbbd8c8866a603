// Products on a Vulkan device: matmul of every element type, sizes that are no multiple of a tile, transposed sides, epilogues, few
// rows, quantised weights, and attention. Device time against the arithmetic (or the bytes) that there must be; some elements of each
// result are checked against double after timing. One line of JSON per row.
//   products          every row
//   products smoke    the same with sides of at most 256
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "bench/gpu/measure.hpp"

namespace ct = cotenant;

namespace {

std::size_t longest = std::size_t(-1);  // side of a matrix
std::size_t side(std::size_t length) { return std::min(length, longest); }

// [-1, 1), or all of int8_t.
template <class T> ct::SharedTensor<T> random_matrix(std::size_t rows, std::size_t columns, std::uint32_t state) {
  auto matrix = ct::empty<T>({rows, columns});
  T* const to = matrix.mutable_view().data();
  for (std::size_t i = 0; i < rows * columns; ++i) {
    state = state * 1664525u + 1013904223u;
    if constexpr (std::is_same_v<T, std::int8_t>) to[i] = static_cast<std::int8_t>(state >> 24);
    else to[i] = ct::convert<T>(static_cast<float>(static_cast<std::int32_t>(state) >> 8) * 0x1p-23f);
  }
  return matrix;
}
template <class T> double number(const T& element) {
  if constexpr (std::is_integral_v<T>) return static_cast<double>(element);
  else return static_cast<double>(ct::convert<float>(element));
}

// What a row says beside its time: operations per second, or bytes where the memory is what bounds it.
template <class F, class Check> void row(const ct::Vulkan& gpu, const std::string& name, double operations, double bytes, F f, Check check) {
  const double seconds = bench::device_seconds(gpu, f);
  const bool right = check();
  std::printf("{\"bench\": \"%s\", \"seconds\": %.4g, \"teraops_per_second\": %.4g, \"gigabytes_per_second\": %.5g, \"right\": %s}\n", name.c_str(),
      seconds, operations / seconds * 1e-12,
              bytes / seconds * 1e-9, right ? "true" : "false");
  std::fflush(stdout);
}

// Whether some elements of out [m, n] = f(sum over k) are what a (m, k) and b (k, n) give. The bound is for sums of values below 1.
template <class Out, class A, class B, class F>
bool is_product(const ct::SharedTensor<Out, ct::Vulkan>& out, const ct::View<const A>& a, const ct::View<const B>& b, double scale, F f) {
  const auto host = out.template copy_to<ct::Heap>();
  const std::size_t m = a.shape(0), k = a.shape(1), n = b.shape(1);
  const double rounding = sizeof(Out) == 2 ? (std::is_same_v<Out, ct::bf16> ? 0x1p-8 : 0x1p-11) : 0;
  for (std::size_t s = 0; s < 61; ++s) {
    const std::size_t i = s < 5 ? m - 1 - s % m : s * 7919 % m, j = s < 10 ? n - 1 - s % n : s * 104729 % n;
    double sum = 0;
    for (std::size_t step = 0; step < k; ++step) sum += number(a(i, step)) * number(b(step, j));
    const double expected = f(sum * scale), have = number(host.view()(i, j));
    if (!(std::abs(have - expected) <= 2e-6 * scale * static_cast<double>(k) * (std::is_integral_v<A> ? 16384 : 1) + 1.01 * rounding * std::abs(expected)))
      return std::fprintf(stderr, "element %zu, %zu is %g, not %g\n", i, j, have, expected), false;
  }
  return true;
}
constexpr auto as_it_is = [](double x) { return x; };

struct Shape3 {
  std::size_t m, k, n;
  bool a_transposed = false, b_transposed = false;
  std::string text() const { return std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n) +
      (a_transposed || b_transposed ? std::string(" ") + "NT"[a_transposed] + "NT"[b_transposed] : ""); }
};

template <class T> struct Sides {
  ct::SharedTensor<T> a, b;
  ct::SharedTensor<T, ct::Vulkan> on_gpu_a, on_gpu_b;
  Sides(const ct::Vulkan& gpu, const Shape3& s)
      : a(s.a_transposed ? random_matrix<T>(s.k, s.m, 1) : random_matrix<T>(s.m, s.k, 1)),
          b(s.b_transposed ? random_matrix<T>(s.n, s.k, 2) : random_matrix<T>(s.k, s.n, 2)),
        on_gpu_a(a.copy_to(gpu)), on_gpu_b(b.copy_to(gpu)) {
    if (s.a_transposed) a = a.transpose(), on_gpu_a = on_gpu_a.transpose();
    if (s.b_transposed) b = b.transpose(), on_gpu_b = on_gpu_b.transpose();
  }
};

template <class T, class E = ct::expr::Identity, class F = decltype(as_it_is)>
void product(const ct::Vulkan& gpu, const std::string& name, Shape3 s, const E& epilogue = {}, F f = as_it_is) {
  s.m = side(s.m), s.k = side(s.k), s.n = side(s.n);
  const Sides<T> sides(gpu, s);
  const auto out = ct::empty<T>({s.m, s.n}, gpu);
  const double operations = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.k) * static_cast<double>(s.n);
  const double bytes = sizeof(T) * static_cast<double>(s.m * s.k + s.k * s.n + s.m * s.n);
  row(gpu, "matmul " + name + " " + s.text(), operations, bytes, [&] { ct::matmul_into(out, sides.on_gpu_a, sides.on_gpu_b, epilogue); },
      [&] { return is_product(out, sides.a.view(), sides.b.view(), 1.0, f); });
}

// A product of bytes with a scale per tensor, or per row and per column; weights stored [n, k], as linear layers have them, or [k, n].
void bytes_product(const ct::Vulkan& gpu, std::size_t length, bool per_row, bool turned = true) {
  const std::size_t n = side(length);
  const Sides<std::int8_t> sides(gpu, {n, n, n, false, turned});
  const ct::Quantized<std::int8_t, ct::Vulkan> a{sides.on_gpu_a, ct::full<float>(per_row ? ct::Shape{n, 1} : ct::Shape{}, 0.5f).copy_to(gpu), {}};
  const ct::Quantized<std::int8_t, ct::Vulkan> b{sides.on_gpu_b, ct::full<float>(per_row ? ct::Shape{1, n} : ct::Shape{}, 0.25f).copy_to(gpu), {}};
  const auto out = ct::empty<float>({n, n}, gpu);
  const double cube = static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  row(gpu, std::string("matmul i8 ") + (per_row ? "scale per row and column " : "") + Shape3{n, n, n}.text() + (turned ? "" : " [k, n]"), 2 * cube,
      6.0 * static_cast<double>(n * n), [&] { ct::matmul_into(out, a, b); },
      [&] { return is_product(out, sides.a.view(), sides.b.view(), 0.125, as_it_is); });
}

// Few rows of f16 with int8 weights of one scale per output: what a decoder spends its time on.
void weights_only(const ct::Vulkan& gpu, std::size_t rows, std::size_t depth, std::size_t columns) {
  depth = side(depth), columns = side(columns);
  const auto weights = random_matrix<std::int8_t>(columns, depth, 3);
  const auto x = random_matrix<ct::f16>(rows, depth, 4);
  const auto x_on_gpu = x.copy_to(gpu);
  const auto values = weights.copy_to(gpu).transpose();
  const ct::Quantized<std::int8_t, ct::Vulkan> w{values, ct::full<float>({1, columns}, 0.0078125f).copy_to(gpu), {}};
  const auto out = ct::empty<float>({rows, columns}, gpu);
  const double count = static_cast<double>(depth) * static_cast<double>(columns);
  row(gpu, "matmul f16 with i8 weights " + Shape3{rows, depth, columns}.text(), 2 * count * static_cast<double>(rows), count,
      [&] { ct::matmul_into(out, x_on_gpu, w); },
      [&] { return is_product(out, x.view(), weights.transpose().view(), 0.0078125, as_it_is); });
}

void attention(const ct::Vulkan& gpu, std::size_t batch, std::size_t heads, std::size_t length, std::size_t width) {
  length = side(length);
  const std::size_t rows = batch * heads * length;
  const auto q = random_matrix<ct::f16>(rows, width, 5), k = random_matrix<ct::f16>(rows, width, 6), v = random_matrix<ct::f16>(rows, width, 7);
  const ct::Shape shape{batch, heads, length, width};
  const auto on_gpu_q = q.copy_to(gpu).reshape(shape), on_gpu_k = k.copy_to(gpu).reshape(shape), on_gpu_v = v.copy_to(gpu).reshape(shape);
  const auto out = ct::empty<ct::f16>(shape, gpu);
  const double all = static_cast<double>(rows) * static_cast<double>(length) * static_cast<double>(width);
  row(gpu, "attention f16 " + std::to_string(batch) + "x" + std::to_string(heads) + "x" + std::to_string(length) + "x" + std::to_string(width), 4 * all,
      8.0 * static_cast<double>(rows * width),
      [&] { ct::attention_into(out, on_gpu_q, on_gpu_k, on_gpu_v); }, [&] {
        const auto host = out.copy_to<ct::Heap>();
        for (std::size_t r = 0; r < rows; r += rows / 7 + 1) {
          std::vector<double> weight(length);
          double sum = 0, expected = 0;
          const std::size_t first = r / length * length;
          for (std::size_t j = 0; j < length; ++j) {
            double score = 0;
            for (std::size_t d = 0; d < width; ++d) score += number(q.view()(r, d)) * number(k.view()(first + j, d));
            sum += weight[j] = std::exp(score / std::sqrt(static_cast<double>(width)));
          }
          for (std::size_t j = 0; j < length; ++j) expected += weight[j] / sum * number(v.view()(first + j, 3));
          const double have = number(host.view().data()[r * width + 3]);
          if (std::abs(have - expected) > 1e-3) return std::fprintf(stderr, "row %zu is %g, not %g\n", r, have, expected), false;
        }
        return true;
      });
}

}  // namespace

int main(int count, char** arguments) {
  const auto gpu = ct::Vulkan::open({.cache_folder = "-"});
  std::printf("{\"device\": \"%s\", \"driver\": \"%s\"}\n", gpu.capabilities().name.c_str(), gpu.capabilities().driver.c_str());
  if (count > 1 && std::strcmp(arguments[1], "smoke") == 0) longest = 256;
  for (const std::size_t n : {1024u, 2048u, 4096u, 8192u}) {
    product<float>(gpu, "f32", {n, n, n});
    product<ct::f16>(gpu, "f16", {n, n, n});
    product<ct::bf16>(gpu, "bf16", {n, n, n});
    bytes_product(gpu, n, false);
    bytes_product(gpu, n, true);
  }
  bytes_product(gpu, 4096, false, false);
  for (const auto& [a, b] : {std::pair{false, true}, {true, false}, {true, true}}) {
    product<float>(gpu, "f32", {4096, 4096, 4096, a, b});
    product<ct::f16>(gpu, "f16", {4096, 4096, 4096, a, b});
  }
  for (const std::size_t n : {4000u, 4095u}) {
    product<float>(gpu, "f32", {n, n, n});
    product<ct::f16>(gpu, "f16", {n, n, n});
  }
  const auto relu = [](auto sum) { return ct::expr::relu(sum * 2.f + 1.f); };
  const auto relu_of = [](double x) { return std::max(x * 2 + 1, 0.0); };
  const auto gelu = [](auto sum) { return ct::expr::gelu(sum); };
  const auto gelu_of = [](double x) { return x * 0.5 * std::erfc(-x * std::sqrt(0.5)); };
  product<float>(gpu, "f32 relu(2x+1)", {4096, 4096, 4096}, relu, relu_of);
  product<ct::f16>(gpu, "f16 relu(2x+1)", {4096, 4096, 4096}, relu, relu_of);
  product<ct::f16>(gpu, "f16 gelu", {4096, 4096, 4096}, gelu, gelu_of);
  for (const std::size_t rows : {1u, 8u}) {
    product<ct::f16>(gpu, "f16", {rows, 4096, 16384, false, true});
    product<ct::f16>(gpu, "f16", {rows, 4096, 16384});
    product<float>(gpu, "f32", {rows, 4096, 16384, false, true});
  }
  weights_only(gpu, 1, 4096, 16384);
  attention(gpu, 32, 12, 128, 64);
  attention(gpu, 1, 12, 512, 64);
  attention(gpu, 4, 16, 2048, 64);
}
