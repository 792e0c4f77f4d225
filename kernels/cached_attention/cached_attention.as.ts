// The first pass keeps the keys and values of this step. Then a unit is a head of a row.
import { dot, normalize_scores, score_at } from "../shared/query_attention.as";
import { madd } from "../shared/vector.as";

export function cached_attention_first_units(rows: u32, steps: u32, D: u32, H: u32): u32 {
  return 1;
}

export function cached_attention_first(
  qkv: usize,
  ancestry: usize,
  position: usize,
  keys: usize,
  values: usize,
  out: usize,
  rows: u32,
  steps: u32,
  D: u32,
  H: u32,
  begin: u32,
  end: u32,
): void {
  const d = <usize>(D * H) * 4;
  for (let r: u32 = 0; r < rows; r++) {
    const to = <usize>(load<u32>(position) * rows + r) * d;
    const key = qkv + (3 * <usize>r + 1) * d;
    memory.copy(keys + to, key, d);
    memory.copy(values + to, key + d, d);
  }
}

export function cached_attention_units(rows: u32, steps: u32, D: u32, H: u32): u32 {
  return rows * H;
}

export function cached_attention(
  qkv: usize,
  ancestry: usize,
  position: usize,
  keys: usize,
  values: usize,
  out: usize,
  rows: u32,
  steps: u32,
  D: u32,
  H: u32,
  begin: u32,
  end: u32,
): void {
  const d = <usize>(D * H) * 4;
  const seen = load<u32>(position) + 1;
  const scale = <f32>(1 / Math.sqrt(<f64>D));
  for (let unit = begin; unit < end; unit++) {
    const r = unit / H;
    const column = <usize>((unit % H) * D) * 4;
    const query = qkv + 3 * <usize>r * d + column;
    const history = ancestry + <usize>(r * steps) * 4;
    for (let t: u32 = 0; t < seen; t++) {
      const entry = <usize>(t * rows + load<u32>(history + <usize>t * 4)) * d + column;
      store<f32>(score_at(t), dot(query, keys + entry, D) * scale);
    }
    normalize_scores(seen);
    for (let c: usize = 0; c < <usize>D * 4; c += 16) {
      let mean = f32x4.splat(0);
      for (let t: u32 = 0; t < seen; t++) {
        const entry = <usize>(t * rows + load<u32>(history + <usize>t * 4)) * d + column + c;
        mean = madd(v128.load32_splat(score_at(t)), v128.load(values + entry), mean);
      }
      v128.store(out + <usize>r * d + column + c, mean);
    }
  }
}
