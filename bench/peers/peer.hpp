// The libraries that cotenant is measured against, behind plain functions: what is not installed gives no contestant.
#ifndef COTENANT_BENCH_PEERS_PEER_HPP
#define COTENANT_BENCH_PEERS_PEER_HPP
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bench::peers {

// A peer's call with room of its own for the result; the inputs stay the caller's.
struct Peer {
  std::string name;
  std::function<void()> run;
  std::shared_ptr<void> out;
  double settle = 0;  // seconds until its idle threads stop spinning
  template <class T> const T* result() const { return static_cast<const T*>(out.get()); }
};
using Peers = std::vector<Peer>;

enum class Type { f32, bf16, u8, s8, s32 };
inline std::size_t bytes_of(Type type) { return type == Type::f32 || type == Type::s32 ? 4 : type == Type::bf16 ? 2 : 1; }

// out[batch][m][n] = a · b, row-major throughout; transposed: the operand is stored the other way round.
struct Product {
  std::size_t m, k, n;
  const void* a;
  const void* b;
  bool a_transposed = false, b_transposed = false;
  std::size_t batch = 1;
};

// Threads of every peer from now on. OpenMP's are those of the calling thread.
void set_threads(int threads);
// One line per library: its version and the kernels it chose.
std::vector<std::string> descriptions();
std::shared_ptr<void> room(std::size_t bytes);  // aligned to 64 bytes, zeroed

// blas.cpp: OpenBLAS with its own choice of kernels and with AVX-512 ones, BLIS.
Peers blas_product(const Product& product);
void blas_set_threads(int threads);
std::vector<std::string> blas_descriptions();

// onednn.cpp. Packed: the weights in the layout that oneDNN chooses, reordered before.
struct DnnOptions {
  Type a = Type::f32, b = Type::f32, out = Type::f32;
  bool packed = false;
  const float* scales = nullptr;  // n output scales, for integers
  const float* bias = nullptr;    // n values to add
  bool gelu = false;
};
Peers dnn_product(const Product& product, const DnnOptions& options = {});
Peers dnn_softmax(const float* x, std::size_t rows, std::size_t columns);
enum class Function { gelu, gelu_tanh, sigmoid, tanh, exp };
Peers dnn_unary(Function function, const float* x, std::size_t count);
Peers dnn_quantize(const float* x, std::size_t count, float scale);        // f32 -> s8, x / scale rounded
Peers dnn_dequantize(const std::int8_t* x, std::size_t count, float scale);
// Softmax(q · kᵀ · scale) · v by three primitives with the scores in memory; q [heads, m, d], k [heads, n, d], v [heads, n, d].
Peers dnn_attention(const float* q, const float* k, const float* v, std::size_t heads, std::size_t m, std::size_t n, std::size_t d, float scale);
std::vector<std::string> dnn_descriptions();

// eigen.cpp, compiled for the machine it runs on.
Peers eigen_product(const Product& product);
Peers eigen_softmax(const float* x, std::size_t rows, std::size_t columns);
Peers eigen_unary(Function function, const float* x, std::size_t count);
std::vector<std::string> eigen_descriptions();

inline void append(Peers& to, Peers more) {
  for (Peer& peer : more) to.push_back(std::move(peer));
}

}  // namespace bench::peers

#endif
