// What the parts of the benchmark of kernels share: inputs, peers as contestants.
#ifndef COTENANT_BENCH_KERNELS_KERNELS_HPP
#define COTENANT_BENCH_KERNELS_KERNELS_HPP
#include <cotenant/ops/attention.hpp>
#include <cotenant/ops/map.hpp>
#include <cotenant/ops/matmul.hpp>
#include <cotenant/ops/quantize.hpp>
#include <cotenant/ops/quantized_matmul.hpp>
#include <cotenant/ops/softmax.hpp>
#include <cotenant/share/tensor.hpp>
#include <cotenant/cpu/cpu.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "bench/measure.hpp"

namespace bench {

namespace ct = cotenant;

void products(Bench& bench);        // products.cpp: f32, fused epilogues, threads
void low_precision(Bench& bench);   // low_precision.cpp: bf16, int8, int4
void rows(Bench& bench);            // rows.cpp: softmax, functions, quantisation, attention
void calls(Bench& bench);           // calls.cpp: what a call costs

inline ct::SharedTensor<float> random(const ct::Shape& shape, unsigned seed = 12345) {
  auto tensor = ct::empty<float>(shape);
  for (float& x : tensor.mutable_view().span()) x = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.f - 1.f;
  return tensor;
}

// The peers as contestants whose results are compared with ours, of `count` elements.
template <class T> void add(std::vector<Call>& calls, const peers::Peers& contestants, const T* ours, std::size_t count, double tolerance) {
  for (const peers::Peer& peer : contestants)
    calls.push_back({peer.name, peer.run, [peer, ours, count] { return difference(ours, peer.result<T>(), count); }, tolerance, peer.settle});
}

inline std::string by(std::size_t a, std::size_t b) { return std::to_string(a) + "×" + std::to_string(b); }
inline std::string by(std::size_t a, std::size_t b, std::size_t c) { return by(a, b) + "×" + std::to_string(c); }

}  // namespace bench

#endif
