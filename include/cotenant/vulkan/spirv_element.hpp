// Elements: a kernel's buffer of f32, f16, bf16, integers or bool, read and written as the numbers that kernels compute with.
#ifndef COTENANT_VULKAN_SPIRV_ELEMENT_HPP
#define COTENANT_VULKAN_SPIRV_ELEMENT_HPP
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cotenant/core/element.hpp"
#include "cotenant/core/error.hpp"
#include "cotenant/vulkan/element_buffer.hpp"

// In registers an element is an f32 (f32, f16, bf16), an i64 (i64) or an i32 (the others; i4x2 is its byte). In memory it has
// the bits that core/element.hpp gives it. Conversions are those of core/convert.hpp, for every input.
namespace cotenant::vulkan {

constexpr bool is_float(DType dtype) { return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16; }

// What an element is in a register.
[[gnu::cold]] inline Type register_type(spirv::Module& module, DType dtype) {
  return is_float(dtype) ? module.f32() : dtype == DType::i64 ? module.integer(64, true) : module.i32();
}
// Errors: Unsupported where the device cannot compute with such elements.
[[gnu::cold]] inline void check_element(const Capabilities& device, DType dtype) {
  if (size_of(dtype) == 8 && !device.shader_int64)
    raise<Unsupported>("the device " + device.name + " has no integers of 64 bits (shaderInt64), which elements of " + std::string(to_string(dtype)) +
                       " are computed in: cast the tensor on the CPU, to float or int32_t, or choose another device");
}

namespace detail {
inline Value bits_of(Value v) { return spirv::bitcast(spirv::shaped_as(v.type, v.module().u32()), v); }
inline Value as_f32(Value bits) { return spirv::bitcast(spirv::shaped_as(bits.type, bits.module().f32()), bits); }
inline Value as_i32(Value bits) { return spirv::bitcast(spirv::shaped_as(bits.type, bits.module().i32()), bits); }

// The bits of an f32 as those of the nearest f16, ties to even; in the lower half of each word. Overflow gives infinity.
[[gnu::cold]] inline Value f16_bits(Value value) {
  const Value wide = bits_of(value), sign = (wide >> 16u) & 0x8000u, magnitude = wide & 0x7FFFFFFFu;
  const Value nan = ((magnitude >> 13u) & 0x3FFu) | 0x7E00u;
  // Below 2^-14: adding 0.5 puts the subnormals' unit 2^-24 at the last bit of the sum, which the addition rounds.
  const Value subnormal = bits_of(no_contraction(as_f32(magnitude) + 0.5f)) - 0x3F000000u;
  const Value normal = (magnitude + ((magnitude >> 13u) & 1u) + (0xFFFu - 0x38000000u)) >> 13u;
  const Value finite = select(magnitude < 0x38800000u, subnormal, normal);
  return sign | select(magnitude > 0x7F800000u, nan, select(magnitude >= 0x477FF000u, 0x7C00u, finite));
}
// The same for bf16: the upper half of the f32, rounded to nearest even.
[[gnu::cold]] inline Value bf16_bits(Value value) {
  const Value wide = bits_of(value), upper = wide >> 16u;
  return select((wide & 0x7FFFFFFFu) > 0x7F800000u, upper | 0x40u, (wide + ((upper & 1u) + 0x7FFFu)) >> 16u);
}
// Two numbers per word, in the order of memory.
inline Value two_f16(Value word) { return word.module().extended(spirv::Glsl::UnpackHalf2x16, word.module().vector(word.module().f32(), 2), {word}); }

// A word's upper half beside another's lower half, and so on: components of v by their numbers.
[[gnu::cold]] inline Value shuffle(Value a, Value b, std::vector<std::uint32_t> components) {
  spirv::Words operands{a.id, b.id};
  operands.insert(operands.end(), components.begin(), components.end());
  return a.module().result(spirv::Op::VectorShuffle, a.module().vector(a.type->component, static_cast<std::uint32_t>(components.size())), operands);
}
inline bool rounds_f16(const Capabilities& device) {
  return device.shader_float16 && device.storage_16bit && device.rounds_to_even_f16 && device.type != DeviceType::software;
}
}  // namespace detail

// The register value of an element from its bits in the low part of a word (of 64 bits for i64).
[[gnu::cold]] inline Value decode(DType dtype, Value word) {
  switch (dtype) {
    case DType::f32: return detail::as_f32(word);
    case DType::f16: return extract(detail::two_f16(word), 0);
    case DType::bf16: return detail::as_f32(word << 16u);
    case DType::i8: return detail::as_i32(word << 24u) >> 24;
    case DType::i64: return bitcast(shaped_as(word.type, word.module().integer(64, true)), word);
    default: return detail::as_i32(word);
  }
}

// `value` (f32, i32, i64 or boolean; vectors too) as the register value of an element of `to`. To i8, u8 and i4x2 only the low
// byte of the result counts.
[[gnu::cold]] inline Value convert_element(DType to, Value value) {
  using namespace spirv;
  Module& module = value.module();
  const Type t = shaped_as(value.type, register_type(module, to));
  const TypeInfo& from = value.type->scalar();
  if (from.kind == Kind::boolean || !from.is_float() || is_float(to)) {
    if (to == DType::boolean && from.kind != Kind::boolean && !from.is_float()) return convert(t, value != 0);
    return convert(t, value);
  }
  // By the bits: a device that takes subnormals for 0 would say that they are.
  const Value bits = detail::bits_of(value), magnitude = bits & 0x7FFFFFFFu;
  if (to == DType::boolean) return convert(t, magnitude != 0u);
  const auto saturated = [&]<class T>(std::type_identity<T>) {
    constexpr T lowest = std::numeric_limits<T>::min(), highest = std::numeric_limits<T>::max();
    constexpr float beyond = static_cast<float>(highest / 2 + 1) * 2.f;
    const Value inside = convert(t, value);  // undefined outside, where it is not chosen
    return select(magnitude > 0x7F800000u, 0, select(value <= static_cast<float>(lowest), lowest, select(value >= beyond, highest, inside)));
  };
  if (to == DType::i8) return saturated(std::type_identity<std::int8_t>{});
  if (to == DType::i32) return saturated(std::type_identity<std::int32_t>{});
  if (to == DType::i64) return saturated(std::type_identity<std::int64_t>{});
  return saturated(std::type_identity<std::uint8_t>{});
}

// The element's bits, in the low part of a word (of 64 bits for i64), from its register value.
[[gnu::cold]] inline Value encode(const Capabilities& device, DType dtype, Value value) {
  switch (dtype) {
    case DType::f16: {
      if (!detail::rounds_f16(device)) return detail::f16_bits(value);
      spirv::Module& module = value.module();
      const Value half = convert(shaped_as(value.type, module.f16()), value);
      return convert(shaped_as(value.type, module.u32()), bitcast(shaped_as(value.type, module.integer(16, false, spirv::Module::Purpose::storage)), half));
    }
    case DType::bf16: return detail::bf16_bits(value);
    case DType::i64: return bitcast(shaped_as(value.type, value.module().integer(64, false)), value);
    default: return detail::bits_of(value);
  }
}

// Four elements from the words that hold them (one, two or four; for i64 four of 64 bits), as a vector of four register values.
[[gnu::cold]] inline Value decode_four(DType dtype, const std::vector<Value>& words) {
  spirv::Module& module = words[0].module();
  if (size_of(dtype) >= 4) return bitcast(module.vector(register_type(module, dtype), 4), spirv::make_vector(words));
  if (dtype == DType::f16) return detail::shuffle(detail::two_f16(words[0]), detail::two_f16(words[1]), {0, 1, 2, 3});
  if (dtype == DType::bf16) {
    const Value pairs = spirv::make_vector({words[0] << 16u, words[0] & 0xFFFF0000u, words[1] << 16u, words[1] & 0xFFFF0000u});
    return detail::as_f32(pairs);
  }
  const Value shifts = spirv::make_vector({module.constant(24u), module.constant(16u), module.constant(8u), module.constant(0u)});
  const Value tops = splat(words[0], 4) << shifts;  // each element in the upper byte
  return dtype == DType::i8 ? detail::as_i32(tops) >> 24 : detail::as_i32(tops >> 24u);
}
// The words of four elements, from their register values.
[[gnu::cold]] inline std::vector<Value> encode_four(const Capabilities& device, DType dtype, Value value) {
  spirv::Module& module = value.module();
  if (dtype == DType::f16 && detail::rounds_f16(device)) {
    const Value words = bitcast(module.vector(module.u32(), 2), convert(module.vector(module.f16(), 4), value));
    return {extract(words, 0), extract(words, 1)};
  }
  const Value bits = encode(device, dtype, value);
  const auto part = [&](std::uint32_t i) { return extract(bits, i); };
  if (size_of(dtype) >= 4) return {part(0), part(1), part(2), part(3)};
  if (size_of(dtype) == 2) return {part(0) | part(1) << 16u, part(2) | part(3) << 16u};
  return {(part(0) & 0xFFu) | (part(1) & 0xFFu) << 8u | (part(2) & 0xFFu) << 16u | part(3) << 24u};
}

class Elements {
 public:
  Elements() = default;
  // The next buffer of the launch.
  Elements(KernelBuilder& kernel, DType dtype) : kernel_(&kernel), dtype_(dtype), buffer_(kernel, checked_size(kernel, dtype)) {}
  // A buffer that is declared already, as elements of `dtype`.
  Elements(KernelBuilder& kernel, DType dtype, Buffer buffer) : kernel_(&kernel), dtype_(dtype), buffer_(kernel, checked_size(kernel, dtype), buffer) {}

  DType dtype() const { return dtype_; }
  const Buffer& buffer() const { return buffer_.buffer(); }

  // Element `index` as its register value.
  Value load(Value index) const { return decode(dtype_, load_bits(index)); }
  // Its bits as they lie in memory, in the low part of a word (of 64 bits for i64).
  Value load_bits(Value index) const {
    const Value raw = buffer_.load(index);
    return raw.type->bits >= 32 ? raw : convert(kernel_->u32(), raw);
  }
  // `value` may be an f32, i32, i64 or boolean.
  void store(Value index, Value value) const { store_register(index, convert_element(dtype_, value)); }

  // Elements [index * 4 groups, (index + 1) * 4 groups) as `groups` vectors of four register values, in accesses of up to 16
  // bytes; groups is 1, 2 or 4. The address must be a multiple of access_bytes(dtype, groups).
  std::vector<Value> load_vectors(Value index, std::uint32_t groups) const {
    const std::uint32_t accesses = access_count(groups);
    const Buffer wide = wide_buffer(groups);
    std::vector<Value> words;
    for (std::uint32_t i = 0; i < accesses; ++i) {
      const Value loaded = wide.load(accesses == 1 ? index : index * accesses + i);
      for (std::uint32_t c = 0; c < loaded.type->count; ++c) words.push_back(extract(loaded, c));
    }
    std::vector<Value> result;
    const auto per_group = static_cast<std::ptrdiff_t>(words.size() / groups);
    for (std::uint32_t g = 0; g < groups; ++g)
      result.push_back(decode_four(dtype_, std::vector<Value>(words.begin() + g * per_group, words.begin() + (g + 1) * per_group)));
    return result;
  }
  // Element `index`, over and over in as many vectors.
  std::vector<Value> load_repeated(Value index, std::uint32_t groups) const { return std::vector<Value>(groups, spirv::splat(load(index), 4)); }
  void store_vectors(Value index, const std::vector<Value>& values) const {
    const auto groups = static_cast<std::uint32_t>(values.size());
    const std::uint32_t accesses = access_count(groups);
    const Buffer wide = wide_buffer(groups);
    std::vector<Value> words;
    for (const Value& value : values) {
      const auto group = encode_four(kernel_->capabilities(), dtype_, convert_element(dtype_, value));
      words.insert(words.end(), group.begin(), group.end());
    }
    const auto per_access = static_cast<std::ptrdiff_t>(words.size() / accesses);
    for (std::uint32_t i = 0; i < accesses; ++i)
      wide.store(accesses == 1 ? index : index * accesses + i,
                 spirv::make_vector(std::vector<Value>(words.begin() + i * per_access, words.begin() + (i + 1) * per_access)));
  }
  static constexpr std::uint32_t access_bytes(DType dtype, std::uint32_t groups) {
    return std::min<std::uint32_t>(16, 4 * groups * static_cast<std::uint32_t>(size_of(dtype)));
  }

 private:
  static std::uint32_t checked_size(KernelBuilder& kernel, DType dtype) {
    check_element(kernel.capabilities(), dtype);
    return static_cast<std::uint32_t>(size_of(dtype));
  }
  std::uint32_t access_count(std::uint32_t groups) const { return 4 * groups * static_cast<std::uint32_t>(size_of(dtype_)) / access_bytes(dtype_, groups); }
  Buffer wide_buffer(std::uint32_t groups) const {
    const std::uint32_t bytes = access_bytes(dtype_, groups);
    if (dtype_ == DType::i64) return buffer().as(kernel_->vector(kernel_->u64(), 2));
    return buffer().as(kernel_->vector(kernel_->u32(), bytes / 4));
  }
  void store_register(Value index, Value value) const {
    const Value word = encode(kernel_->capabilities(), dtype_, value);
    buffer_.store(index, convert(buffer_.element(), word));
  }

  KernelBuilder* kernel_ = nullptr;
  DType dtype_{};
  ElementBuffer buffer_;
};

}  // namespace cotenant::vulkan

#endif
