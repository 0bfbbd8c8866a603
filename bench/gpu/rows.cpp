// Softmax, norms, reductions, gather, top_k, rotary and quantisation on a Vulkan device: device time against the bytes that must
// move, results checked against double after timing. One line of JSON per row.
//   rows          the rows
//   rows smoke    the same with a 64th of the elements
//   rows teams    softmax and layer_norm by every kind of team, unchecked
#include <cmath>
#include <cstring>

#include "bench/gpu/measure.hpp"

namespace ct = cotenant;
using bench::row;

namespace {

std::size_t shrink = 1;  // how many times fewer rows

template <class T> double at(const ct::SharedTensor<T>& host, std::size_t i) { return static_cast<double>(ct::convert<float>(host.view().data()[i])); }
// Some rows of [rows, length]: check(first element of the row).
template <class F> bool some_rows(std::size_t rows, std::size_t length, F check) {
  for (const std::size_t r : {std::size_t{0}, rows / 3, rows - 1}) if (!check(r * length)) return false;
  return true;
}
template <class T> bool close(const ct::SharedTensor<T>& host, std::size_t i, double expected, double tolerance = 4e-6) {
  const double rounding = sizeof(T) == 2 ? 1e-3 : 0, have = at(host, i);
  const bool right = std::abs(have - expected) <= tolerance + (tolerance + rounding) * std::abs(expected);
  if (!right) std::fprintf(stderr, "element %zu is %g, not %g\n", i, have, expected);
  return right;
}

template <class T> bool softmax_is_right(const ct::SharedTensor<T, ct::Vulkan>& x, const ct::SharedTensor<T, ct::Vulkan>& y) {
  const auto in = x.template copy_to<ct::Heap>(), out = y.template copy_to<ct::Heap>();
  const std::size_t length = x.shape(-1);
  return some_rows(x.size() / length, length, [&](std::size_t first) {
    double total = 0;
    for (std::size_t i = 0; i < length; ++i) total += std::exp(at(in, first + i));
    for (std::size_t i = 0; i < length; i += 7) if (!close(out, first + i, std::exp(at(in, first + i)) / total, 1e-7)) return false;
    return true;
  });
}

template <class T> void softmax_rows(const ct::Vulkan& gpu, const char* name, std::size_t all_rows, std::size_t length) {
  const std::size_t rows = std::max<std::size_t>(1, all_rows / shrink);
  const auto x = bench::numbers<T>(gpu, {rows, length});
  const auto y = ct::empty<T>({rows, length}, gpu);
  const double bytes = 2.0 * sizeof(T) * static_cast<double>(rows * length);
  const std::string shape = std::to_string(rows) + "x" + std::to_string(length) + " " + name;
  row(gpu, "softmax " + shape, bytes, [&] { ct::softmax_into(y, x); }, [&] { return softmax_is_right(x, y); });
}

template <class T> void norm_rows(const ct::Vulkan& gpu, const char* name, std::size_t all_rows, std::size_t length) {
  const std::size_t rows = all_rows / shrink;
  const auto x = bench::numbers<T>(gpu, {rows, length}), residual = bench::numbers<T>(gpu, {rows, length});
  const auto scale = bench::numbers<T>(gpu, {length}), bias = bench::numbers<T>(gpu, {length});
  const auto y = ct::empty<T>({rows, length}, gpu), sum = ct::empty<T>({rows, length}, gpu);
  const double bytes = sizeof(T) * static_cast<double>(rows * length);
  const std::string shape = std::to_string(rows) + "x" + std::to_string(length) + " " + name;
  const auto right = [&](bool centered, double times) {
    const auto in = x.template copy_to<ct::Heap>(), out = y.template copy_to<ct::Heap>(), s = scale.template copy_to<ct::Heap>(),
               b = bias.template copy_to<ct::Heap>();
    return some_rows(rows, length, [&](std::size_t first) {
      const auto count = static_cast<double>(length);
      double mean = 0, spread = 0;
      if (centered) for (std::size_t i = 0; i < length; ++i) mean += times * at(in, first + i) / count;
      for (std::size_t i = 0; i < length; ++i) spread += std::pow(times * at(in, first + i) - mean, 2) / count;
      for (std::size_t i = 0; i < length; i += 7)
        if (!close(out, first + i, (times * at(in, first + i) - mean) / std::sqrt(spread + 1e-5) * at(s, i) + (centered ? at(b, i) : 0), 2e-5)) return false;
      return true;
    });
  };
  row(gpu, "layer_norm " + shape, 2 * bytes, [&] { ct::layer_norm_into(y, x, scale, bias, 1e-5f); }, [&] { return right(true, 1); });
  row(
      gpu, "rms_norm of x + residual, and the sum " + shape, 4 * bytes, [&] { ct::rms_norm_into(y, x, scale, 1e-5f, residual, sum); },
      [&] { return right(false, 2); });
}

void reductions(const ct::Vulkan& gpu) {
  const std::size_t rows = 16384 / shrink, length = 4096;
  const auto x = bench::numbers<float>(gpu, {rows, length});
  const double bytes = 4.0 * static_cast<double>(rows * length);
  const auto host = x.copy_to<ct::Heap>();
  const auto by_row = ct::empty<float>({rows}, gpu), by_column = ct::empty<float>({length}, gpu), one = ct::empty<float>({}, gpu);
  const auto each = [&](const char* name, const auto& out, const ct::ReduceOptions& options, std::size_t count, std::size_t outer_step,
                        std::size_t inner_step) {
    row(gpu, std::string("sum ") + name, bytes, [&] { ct::reduce_into<ct::reduction::Sum>(out, x, options); }, [&] {
      const auto got = out.template copy_to<ct::Heap>();
      for (const std::size_t o : {std::size_t{0}, got.size() - 1}) {
        double sum = 0, size = 0;
        for (std::size_t i = 0; i < count; ++i) sum += at(host, o * outer_step + i * inner_step), size += std::abs(at(host, o * outer_step + i * inner_step));
        if (std::abs(at(got, o) - sum) > 1e-6 * size) return std::fprintf(stderr, "%s is %g, not %g\n", name, at(got, o), sum), false;
      }
      return true;
    });
  };
  each("of rows 16384x4096 f32", by_row, {.axes = {1}}, length, length, 1);
  each("of columns 16384x4096 f32", by_column, {.axes = {0}}, rows, 1, length);
  each("of all 16384x4096 f32", one, {}, rows * length, 0, 1);
  row(gpu, "max of rows 16384x4096 f32", bytes, [&] { ct::reduce_into<ct::reduction::Maximum>(by_row, x, {.axes = {1}}); }, [&] {
    return close(by_row.copy_to<ct::Heap>(), 1, static_cast<double>(*std::max_element(host.view().data() + length, host.view().data() + 2 * length)));
  });
}

void quantisation(const ct::Vulkan& gpu) {
  const std::size_t rows = 16384 / shrink, length = 8192;
  const auto x = bench::numbers<float>(gpu, {rows, length});
  const auto host = x.copy_to<ct::Heap>();
  const double n = static_cast<double>(rows * length);
  const auto scale = ct::from({0.015f}, {1}).copy_to(gpu), row_scale = ct::full<float>({rows, 1}, 0.015f).copy_to(gpu);
  const auto q = ct::empty<std::int8_t>({rows, length}, gpu);
  const auto right = [&] {
    const auto got = q.copy_to<ct::Heap>();
    for (std::size_t i = 0; i < rows * length; i += 997) {
      const float expected = std::min(std::max(std::nearbyint(host.view().data()[i] / 0.015f), -128.f), 127.f);
      if (static_cast<float>(got.view().data()[i]) != expected)
        return std::fprintf(stderr, "element %zu is %d, not %g\n", i, got.view().data()[i], static_cast<double>(expected)), false;
    }
    return true;
  };
  row(gpu, "quantize f32 to i8", 5 * n, [&] { ct::quantize_into(q, x, scale); }, right);
  row(gpu, "quantize f32 to i8, scale per row", 5 * n, [&] { ct::quantize_into(q, x, row_scale); }, right);
  const auto y = ct::empty<float>({rows, length}, gpu);
  row(gpu, "dequantize i8 to f32", 5 * n, [&] { ct::dequantize_into(y, q, scale); }, [&] {
    const auto got = y.copy_to<ct::Heap>();
    const auto from = q.copy_to<ct::Heap>();
    for (std::size_t i = 0; i < rows * length; i += 997) if (got.view().data()[i] != static_cast<float>(from.view().data()[i]) * 0.015f) return false;
    return true;
  });
  const ct::Quantized<std::uint8_t, ct::Vulkan> per_row{ct::empty<std::uint8_t>({rows, length}, gpu), ct::empty<float>({rows, 1}, gpu),
                                                        ct::empty<std::uint8_t>({rows, 1}, gpu)};
  row(gpu, "dynamic quantize f32 to u8 per row", 5 * n, [&] { ct::quantize_into(per_row, x); }, [&] {
    const auto values = per_row.values.copy_to<ct::Heap>();
    const auto scales = per_row.scale.copy_to<ct::Heap>();
    const auto zeros = per_row.zero_point.copy_to<ct::Heap>();
    return some_rows(rows, length, [&](std::size_t first) {
      const float* const from = host.view().data() + first;
      const float low = std::min(0.f, *std::min_element(from, from + length)), high = std::max(0.f, *std::max_element(from, from + length)),
                  step = (high - low) / 255.f;
      if (scales.view().data()[first / length] != step) return false;
      const float zero = std::nearbyint(-low / step);
      if (static_cast<float>(zeros.view().data()[first / length]) != zero) return false;
      for (std::size_t i = 0; i < length; ++i)
        if (static_cast<float>(values.view().data()[first + i]) != std::min(std::max(std::nearbyint(from[i] / step) + zero, 0.f), 255.f)) return false;
      return true;
    });
  });
}

void lookups(const ct::Vulkan& gpu) {
  {
    const std::size_t words = 50000 / shrink, width = 1024, tokens = 65536 / shrink;
    const auto table = bench::numbers<float>(gpu, {words, width});
    auto ids = ct::empty<std::int32_t>({tokens});
    for (std::size_t i = 0; i < tokens; ++i) ids.mutable_view().data()[i] = static_cast<std::int32_t>(i * 7919 % words);
    const auto indices = ids.copy_to(gpu);
    const auto out = ct::empty<float>({tokens, width}, gpu);
    row(gpu, "gather 65536 rows of 1024 f32", 8.0 * static_cast<double>(tokens * width), [&] { ct::gather_into(out, table, indices); }, [&] {
      const auto from = table.copy_to<ct::Heap>(), got = out.copy_to<ct::Heap>();
      for (std::size_t i = 0; i < tokens; i += 101)
        if (std::memcmp(got.view().data() + i * width, from.view().data() + i * 7919 % words * width, width * 4) != 0) return false;
      return true;
    });
  }
  {
    const std::size_t rows = 256 / shrink, length = 128256;
    const auto x = bench::numbers<float>(gpu, {rows, length});
    const auto host = x.copy_to<ct::Heap>();
    ct::SharedTensor<std::int32_t, ct::Vulkan> best;
    const auto check = [&] {
      const auto got = best.copy_to<ct::Heap>();
      const std::size_t each = got.size() / rows;
      return some_rows(rows, 1, [&](std::size_t r) {
        const float* const from = host.view().data() + r * length;
        return got.view().data()[r * each] == std::max_element(from, from + length) - from;
      });
    };
    row(gpu, "argmax 256x128256 f32", 4.0 * static_cast<double>(rows * length), [&] { best = ct::argmax(x); }, check);
    row(gpu, "top 50 of 256x128256 f32", 4.0 * static_cast<double>(rows * length), [&] { best = ct::top_k(x, 50).indices; }, check);
  }
  {
    const std::size_t batch = 8, heads = 32, positions = 2048 / shrink, width = 128;
    const auto x = bench::numbers<ct::f16>(gpu, {batch, heads, positions, width});
    const auto tables = ct::rotary_tables(positions, width);
    const auto cosine = tables.cosine.copy_to(gpu), sine = tables.sine.copy_to(gpu);
    const auto out = ct::empty<ct::f16>({batch, heads, positions, width}, gpu);
    row(gpu, "rotary 8x32x2048x128 f16", 4.0 * static_cast<double>(x.size()), [&] { ct::rotary_into(out, x, cosine, sine); }, [&] {
      const auto in = x.copy_to<ct::Heap>(), got = out.copy_to<ct::Heap>();
      for (std::size_t r = 0; r < batch * heads * positions; r += 1009)
        for (std::size_t i = 0; i < width / 2; ++i) {
          const std::size_t angle = r % positions * (width / 2) + i;
          const double c = at(tables.cosine, angle), s = at(tables.sine, angle), a = at(in, r * width + i), b = at(in, r * width + width / 2 + i);
          if (!close(got, r * width + i, a * c - b * s, 1e-3) || !close(got, r * width + width / 2 + i, b * c + a * s, 1e-3)) return false;
        }
      return true;
    });
  }
}

// Which team is fastest for which row.
template <class T, class F> void each_team(const ct::Vulkan& gpu, const std::string& name, std::size_t rows, std::size_t length, F launch) {
  const std::uint32_t subgroup = gpu.capabilities().subgroup_size;
  for (const std::uint32_t lanes : {32u, 64u, 128u, 256u, 512u, 1024u}) {
    const std::size_t each = (length / 4 + lanes - 1) / lanes;
    if (each > 16) continue;
    const ct::vulkan::Team team{lanes, lanes == subgroup ? 4u : 1u, false, 4, static_cast<std::uint32_t>(each), subgroup};
    row(
        gpu, name + " " + std::to_string(rows) + "x" + std::to_string(length) + " " + std::string(team.key().view()), 2.0 * sizeof(T) * static_cast<double>(rows * length),
        [&] { launch(&team); }, [] { return true; });
  }
}
template <class T> void teams(const ct::Vulkan& gpu, const std::string& name) {
  for (const auto& [rows, length] : {std::pair<std::size_t, std::size_t>{32768, 768}, {32768, 1024}, {16384, 4096}, {4096, 8192}}) {
    const auto x = bench::numbers<T>(gpu, {rows, length}), y = ct::empty<T>({rows, length}, gpu), scale = bench::numbers<T>(gpu, {length});
    auto& stream = *gpu.shared_stream();
    each_team<T>(gpu, "softmax " + name, rows, length, [&](const ct::vulkan::Team* team) {
      ct::vulkan::kernels::softmax(stream, ct::SoftmaxArguments<T, T>{ct::input(x), ct::output(y), false}, team);
    });
    each_team<T>(gpu, "layer_norm " + name, rows, length, [&](const ct::vulkan::Team* team) {
      ct::vulkan::kernels::norm(stream,
                                ct::NormArguments<T, float, T, float, T>{ct::input(x), {}, ct::input(scale), ct::input(scale), 1e-5f, true, {}, ct::output(y)},
                                team);
    });
  }
}

}  // namespace

int main(int count, char** arguments) {
  const auto gpu = ct::Vulkan::open({.cache_folder = "-"});
  std::printf("{\"device\": \"%s\", \"driver\": \"%s\"}\n", gpu.capabilities().name.c_str(), gpu.capabilities().driver.c_str());
  if (count > 1 && std::strcmp(arguments[1], "teams") == 0) return teams<float>(gpu, "f32"), teams<ct::f16>(gpu, "f16"), 0;
  if (count > 1 && std::strcmp(arguments[1], "smoke") == 0) shrink = 64;
  softmax_rows<float>(gpu, "f32", 4096, 4096);
  softmax_rows<float>(gpu, "f32", 32768, 1024);
  softmax_rows<ct::f16>(gpu, "f16", 4096, 4096);
  softmax_rows<ct::f16>(gpu, "f16", 32768, 1024);
  softmax_rows<float>(gpu, "f32", 512, 50257);
  softmax_rows<float>(gpu, "f32", 16, 1 << 20);
  softmax_rows<float>(gpu, "f32", 1 << 20, 64);
  norm_rows<float>(gpu, "f32", 32768, 1024);
  norm_rows<ct::f16>(gpu, "f16", 16384, 4096);
  reductions(gpu);
  quantisation(gpu);
  lookups(gpu);
}
